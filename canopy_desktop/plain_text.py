"""The commands' results as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Result = dict[str, Any]


def _tokens(result: Result) -> str:
    lines = [f"{len(result['tokens'])} tokens ({result['model']})"]
    lines += [f"{token['id']:>7}  {token['bytes']:<20}  {token['text']!r}" for token in result["tokens"]]
    lines += [f"no token for byte {lost['byte']:02X} at offset {lost['offset']}" for lost in result["lost"]]
    return "\n".join(lines)


def _trace(result: Result) -> str:
    lines = [
        f"{result['model']} ({result['weights']}) on {result['provider']}, {len(result['prompt_ids'])} prompt tokens"
    ]
    slides = {slide["step"]: slide for slide in result["slides"]}
    for number, step in enumerate(result["steps"]):
        if (slide := slides.get(number)) is not None:
            lines.append(_slid(slide))
        others = "  ".join(f"{top['text']!r} {100 * top['probability']:.1f} %" for top in step["top"])
        lines.append(f"{step['text']!r:>16} {100 * step['probability']:5.1f} %  rank {step['rank']:<5} {others}")
    metrics = result["metrics"]
    lines += [result["text"], f"stopped: {result['stop_reason']}"]
    lines.append("  ".join(f"{name} {value:.1f}" for name, value in metrics.items() if value is not None))
    return "\n".join(lines)


def _slid(slide: Result) -> str:
    first, last = slide["dropped"]
    kept = f", {slide['kept']} kept" if slide["kept"] else ""
    return (
        f"window slid: {last - first + 1} tokens dropped (positions {first} to {last}){kept}, "
        f"{slide['prefilled']} prefilled, {slide['ms']:.1f} ms"
    )


def _lens(result: Result) -> str:
    if any("cells" in layer for layer in result["layers"]):
        return "\n".join(
            f"layer {layer['layer']:>2}  " + "  ".join(repr(cell["text"]) for cell in layer["cells"])
            for layer in result["layers"]
        )
    return "\n".join(
        f"layer {layer['layer']:>2}  " + "  ".join(f"{top['text']!r} {top['logprob']:.2f}" for top in layer["top"])
        for layer in result["layers"]
    )


def _block(result: Result) -> str:
    floor = result["noise_floor"]
    lines = [
        f"{name}: {facts['divergence_bits']:.4f} bits, logits differ by up to {facts['largest_logit_difference']:.2f}"
        for name, facts in (("before ‖ after", result), ("rounding alone", floor))
    ]
    lines += [
        f"{change['text']!r:>16} {100 * change['before']:5.1f} % → {100 * change['after']:5.1f} %"
        for change in result["changes"]
    ]
    return "\n".join(lines)


def _leave_out(result: Result) -> str:
    chosen = result["chosen"]
    lines = [f"{chosen['text']!r} {100 * chosen['probability']:.1f} % with all tokens"]
    lines += [
        f"{left['position']:>5} {left['text']!r:>16} {left['delta_bits']:+7.2f} bits, then {left['top']['text']!r}"
        for left in result["effects"]
    ]
    return "\n".join(lines)


def _inside(result: Result) -> str:
    lines = [f"position {result['position']}, layer {result['layer']}, head {result['head']}"]
    lines += [
        f"{key['position']:>5} {key['text']!r:>16} q·k {key['product']:9.3f}  scaled {key['scaled']:8.3f}  "
        f"weight {key['weight']:.4f}"
        for key in result["keys"][: result["position"] + 1]
    ]
    lines += [
        f"{name.replace('_', '-')} adds {part['norm']:.2f} (cosine {part['cosine']:+.2f}), "
        f"{part['effect']:+.2f} to the logit of {result['chosen']['text']!r}"
        for name, part in (("attention", result["attention"]), ("feed_forward", result["feed_forward"]))
    ]
    return "\n".join(lines)


def _race(result: Result) -> str:
    runners = ("without_cache", "refed", "cached")
    heads = "".join(f"{name:>15}" for name in ("without cache", "refed", "cached"))
    lines = [f"{'token':>17}  {heads}  largest logit differences"]
    for step in result["steps"]:
        times = "".join(f"{step[runner]['ms']:>12.1f} ms" for runner in runners)
        lines.append(
            f"{step['text']!r:>17}  {times}  {step['refed']['difference']:.2g}, {step['cached']['difference']:.2g}"
        )
    sums = "".join(f"{result['sums'][runner]['ms']:>12.1f} ms" for runner in runners)
    lines += [f"after the first:   {sums}", f"stopped: {result['stop_reason']}", result["text"]]
    size = result["cache"]
    lines.append(
        f"cache: {size['positions']} positions of {size['predicted_bytes_per_position']} bytes, predicted "
        f"{size['predicted_bytes']}, measured {size['used_bytes']}, allocated {size['allocated_bytes']}"
    )
    return "\n".join(lines)


def _bench(result: Result) -> str:
    lines = [
        f"{row['context']:>6} tokens: TTFT {row['ttft_ms']:.0f} ms, TPOT {row['tpot_ms']:.1f} ms"
        for row in result["contexts"]
    ]
    memory, kept = result["memory_mb"], result["kept_bytes"] / 1e6
    lines.append(f"load {result['load_ms']:.0f} ms, peak memory {memory:.0f} MB, kept {kept:.0f} MB")
    lines += [
        f"{row['requests']:>6} requests: {row['tokens_per_s']:.0f} tokens/s" for row in result.get("throughput", ())
    ]
    return "\n".join(lines)


def _models(result: Result) -> str:
    if "models" not in result:
        return f"{result['id']} is in {result['folder']}"
    if not result["models"]:
        return "No model is installed; 'canopy-desktop models build' builds the default one."
    return "\n".join(
        f"{model['id']}: {model['problem'] or 'in order'} ({model['folder']})" for model in result["models"]
    )


def _json(result: Result) -> str:
    return json.dumps(result, indent=1, ensure_ascii=False)


SHOW: dict[str, Callable[[Result], str]] = {
    "tokens": _tokens,
    "trace": _trace,
    "attention": _json,
    "lens": _lens,
    "block": _block,
    "leave-out": _leave_out,
    "inside": _inside,
    "race": _race,
    "bench": _bench,
    "doctor": _json,
    "models": _models,
}
