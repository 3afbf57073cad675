"""Settings to begin with, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from canopy_desktop.decoding.settings import DecodingSettings

_UNCHANGED = DecodingSettings()
# what a preset leaves as it is, unless it has a value of its own
_STAYS = ("logit_bias", "banned_tokens", "min_tokens", "max_tokens", "stop", "keep_stop", "seed")


@dataclass(frozen=True, slots=True)
class Preset:
    """How freely the next token is chosen, and for one preset when to stop."""

    id: str  # for the command line
    name: str  # for people
    settings: DecodingSettings

    def over(self, current: DecodingSettings) -> DecodingSettings:
        """Temperature, cuts and penalties of the preset; seed, lengths, stop texts, bias and bans stay.

        A length or stop text of the preset's own is taken. Raises `SettingsError` where it contradicts what stays.
        """
        stays = {
            name: getattr(current, name) for name in _STAYS if getattr(self.settings, name) == getattr(_UNCHANGED, name)
        }
        return replace(self.settings, **stays)


PRESETS = (
    Preset("precise", "Precise", DecodingSettings(temperature=0.3, top_p=0.9)),
    Preset("balanced", "Balanced", DecodingSettings(temperature=0.7, top_p=0.95)),
    Preset("creative", "Creative", DecodingSettings(temperature=1.0, min_p=0.05)),
    Preset("too-hot", "Too hot", DecodingSettings(temperature=2.0)),
    Preset(
        "one-paragraph", "One paragraph",
        DecodingSettings(temperature=0.7, top_p=0.95, max_tokens=100, stop=("\n\n",)),
    ),
    Preset("temperature-0.1", "Temperature 0.1", DecodingSettings(temperature=0.1)),
    Preset("temperature-0.7", "Temperature 0.7", DecodingSettings(temperature=0.7)),
    Preset("temperature-1.2", "Temperature 1.2", DecodingSettings(temperature=1.2)),
)  # fmt: skip


def preset(preset_id: str) -> Preset:
    """The preset with this id. Raises `KeyError`."""
    return {known.id: known for known in PRESETS}[preset_id]
