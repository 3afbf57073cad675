"""What runs the model, and what is said about it."""

import logging

import pytest

from canopy_desktop.model.provider import ProviderChoice, choose_provider


@pytest.mark.parametrize("choice", ProviderChoice)
def test_the_provider_that_is_used_comes_with_its_reason(choice: ProviderChoice) -> None:
    report = choose_provider(choice)
    assert report.name == "cpu"
    assert report.reason.endswith(".")
    assert "CPU" in report.reason


def test_asking_for_cuda_where_it_cannot_run_is_said_and_not_hidden(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        choose_provider(ProviderChoice.CUDA)
    assert "CUDA was asked for" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        choose_provider(ProviderChoice.AUTO)
    assert not caplog.text
