"""The commands' results as text for a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

Result = dict[str, Any]
SHOWN_TOKENS = 20  # of a distribution over all of them


def shown(name: str, result: Result) -> str:
    """The result of the command called `name`, after what is to be known about its prompt."""
    sides = {"": result, "A: ": result.get("a"), "B: ": result.get("b")}
    notes = [f"{side}{found['note']}" for side, found in sides.items() if isinstance(found, dict) and "note" in found]
    return "\n".join([*notes, SHOW[name](result)])


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
    if result["filter"] is not None:
        lines += _filtered(result["filter"])
    if result["fact_check"] is not None:
        lines.append(_facts(result["fact_check"]))
    lines.append("  ".join(f"{name} {value:.1f}" for name, value in metrics.items() if value is not None))
    return "\n".join(lines)


def _filtered(found: Result) -> list[str]:
    """What the output filter did, a line for each hit, rejected token and pattern that took too long."""
    lines = [f"filter: {hit['text']!r} ({hit['entry']}, line {hit['line']}): {hit['action']}" for hit in found["hits"]]
    lines += [f"filter: {token['text']!r} rejected ({token['hits'][0]['entry']})" for token in found["rejected"]]
    return lines + [f"filter: {late['entry']} took too long, and was left out" for late in found["failures"]]


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


def _compare(result: Result) -> str:
    lines = [_compared_side(name.upper(), result[name]) for name in ("a", "b")]
    lines += [f"{differs['name']}: {differs['a']} in A, {differs['b']} in B" for differs in result["settings"]]
    lines += [f"the prompts {_parted(result['prompt'])}", f"the texts {_parted(result['text'])}"]
    if not result["same_vocabulary"]:
        lines.append("the models have different vocabularies, so single steps cannot be compared")
    lines += [line for step in result["steps"] for line in _compared_step(step)]
    for name in ("a", "b"):
        lines += [f"{name.upper()}, stopped: {result[name]['stop_reason']}", result[name]["text"]]
    return "\n".join(lines)


def _compared_side(name: str, run: Result) -> str:
    return f"{name}: {run['model']} ({run['weights']}) on {run['provider']}, {len(run['prompt_ids'])} prompt tokens"


def _parted(parting: Result) -> str:
    shared = f"{parting['characters']} characters" if parting["tokens"] is None else f"{parting['tokens']} tokens"
    return {
        "equal": f"are equal ({shared})",
        "a_begins_b": f"are equal for {shared}, where A ends and B goes on",
        "b_begins_a": f"are equal for {shared}, where B ends and A goes on",
        "parted": f"part after {shared}",
    }[parting["relation"]]


def _compared_step(step: Result) -> list[str]:
    raw, final = step["raw"], step["final"]
    bits = [f"{_bits(found['a_b_bits'])} / {_bits(found['b_a_bits'])}" for found in (raw, final)]
    variation = f"total variation {final['total_variation']:.3f}"
    lines = [f"{step['index']:>4}  raw KL {bits[0]} bits, after the settings {bits[1]}, {variation}"]
    chosen = [("A", step["a_chosen"]), ("B", step["b_chosen"])]
    if step["a_chosen"]["id"] == step["b_chosen"]["id"]:
        chosen = [("both", step["a_chosen"])]
    lines += [
        f"{name:>8}: {token['text']!r} {100 * token['a']['probability']:.1f} % in A, "
        f"{100 * token['b']['probability']:.1f} % in B"
        for name, token in chosen
    ]
    return lines


def _bits(value: float) -> str:
    return "∞" if value == math.inf else f"{value:.4f}"


def _pipeline(result: Result) -> str:
    lines = [
        f"{stage['name']:>11}  {stage['kept']:>7} kept, {stage['removed']:>7} removed, {stage['changed']:>7} changed"
        for stage in result["stages"]
        if stage["active"]
    ]
    likeliest = list(result["probabilities"].items())[:SHOWN_TOKENS]
    lines += [f"{token_id:>11}  {100 * probability:6.2f} %" for token_id, probability in likeliest]
    if (others := result["kept"] - len(likeliest)) > 0:
        lines.append(f"{others:>11}  more")
    draw = result["draw"]
    number = "the likeliest" if draw["uniform"] is None else f"{draw['uniform']:.6f} was drawn"
    lines.append(f"token {draw['token_id']} ({number}; its stretch is {draw['low']:.6f} to {draw['high']:.6f})")
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


def _beams(result: Result) -> str:
    lines = []
    for step in result.get("steps", ()):
        lines.append(f"step {step['length']}")
        lines += [
            f"  {found['fate']:<8}  beam {found['parent']} → {_or_dash(found['beam'])}  {found['text']!r:>16}  "
            f"{found['logprob']:8.3f}  sum {found['cumulative']:9.3f}"
            for found in step["candidates"]
        ]
    lines += [
        f"{sequence['score']:9.4f}  {'finished' if sequence['finished'] else 'cut     '}  {sequence['text']!r}"
        for sequence in result["sequences"]
    ]
    return "\n".join([*lines, f"stopped: {result['stop_reason']}"])


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)


def _draws(result: Result) -> str:
    lines = [f"{result['count']} draws   predicted      drawn   95 % interval of the share"]
    lines += [_frequency(repr(token["text"]), token) for token in result["tokens"]]
    if other := result["other"]["tokens"]:
        lines.append(_frequency(f"{other} others", result["other"]))
    lines.append(_chi_square(result))
    if "continuations" in result:
        lines.append(f"{result['distinct']} different continuations")
        lines += [
            f"{one['draw']:>4}  {one['logprob']:9.3f}  {one['stop_reason']:<13} {one['text']!r}"
            for one in result["continuations"]
        ]
    return "\n".join(lines)


def _frequency(name: str, found: Result) -> str:
    missed = "" if found["agrees"] else "   prediction outside"
    return (
        f"{name:>16}   {100 * found['predicted']:6.2f} %   {found['count']:>4}   "
        f"{100 * found['low']:6.2f} … {100 * found['high']:6.2f} %{missed}"
    )


def _chi_square(result: Result) -> str:
    if result["p_value"] is None:
        return "χ²: no figure, for all draws are in one class; it takes two that expect 5 draws each"
    degrees = result["degrees_of_freedom"]
    return f"χ² {result['chi_square']:.2f}, degrees of freedom {degrees}, p = {result['p_value']:.3f}"


def _score(result: Result) -> str:
    lines = []
    for token in result["tokens"]:
        if token["logprob"] is None:
            lines.append(f"{token['position']:>5} {token['text']!r:>16}  the first token: nothing stands before it")
            continue
        likeliest = "" if token["rank"] == 1 else f"  likeliest {token['likeliest']['text']!r}"
        lines.append(
            f"{token['position']:>5} {token['text']!r:>16} {100 * token['probability']:6.2f} %  "
            f"{token['surprisal_bits']:6.2f} bits  rank {token['rank']:<5} "
            f"entropy {token['entropy_bits']:5.2f}{likeliest}"
        )
    if sums := result["sums"]:
        lines.append(
            f"{sums['tokens']} tokens: {sums['bits']:.2f} bits, perplexity {sums['perplexity']:.2f}, "
            f"mean rank {sums['mean_rank']:.1f}"
        )
    if border := result["border"]:
        apart, together = (" ".join(repr(token["text"]) for token in border[way]) for way in ("apart", "together"))
        lines.append(f"the tokens from position {border['position']} on are {apart} apart, {together} together")
    lines += [f"no token for byte {lost['byte']:02X} at offset {lost['offset']}" for lost in result["lost"]]
    return "\n".join(lines)


def _facts(result: Result) -> str:
    if "query" in result:
        return _found_facts(result)
    lines = [*result["rule"], ""]
    for claim in result["claims"]:
        lines += [f"{claim['verdict']:<12}  {claim['text']}", f"{'':12}  {_compared(claim)}"]
    return "\n".join([*lines, ", ".join(f"{count} {verdict}" for verdict, count in result["counts"].items())])


def _compared(claim: Result) -> str:
    if claim["fact"] is None:
        return "no fact shares a word with it"
    against = "".join(f"; {values['sentence']} against {values['fact']}" for values in claim["against"])
    negated = "; only one of the two says not" if claim["only_one_negated"] else ""
    shares = [f"{100 * claim[share]:.0f} %" for share in ("share_of_fact", "share_of_sentence")]
    return (
        f"line {claim['fact']['line']}: {claim['fact']['text']} "
        f"({shares[0]} of the fact's words, {shares[1]} of the sentence's{against}{negated})"
    )


def _found_facts(result: Result) -> str:
    if not result["results"]:
        return "No fact shares a content word with the query."
    return "\n".join(f"{hit['score']:6.3f}  line {hit['line']}: {hit['text']}" for hit in result["results"])


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
    if window := result.get("ui"):
        gaps = f"p99 {window['event_loop_gap_ms_p99']:.0f} ms, longest {window['event_loop_gap_ms_max']:.0f} ms"
        lines.append(f"gaps of the window's event loop: {gaps}")
    return "\n".join(lines)


def _models(result: Result) -> str:
    if "was" in result:
        return f"{result['was']} is called {result['id']} now ({result['folder']})"
    if "environment" in result:
        return f"What exports need is in {result['environment']}{'' if result['made'] else ' already'}"
    if "removed" in result:
        return f"{result['id']} was removed" if result["removed"] else "Nothing was removed."
    if "models" in result and "searched" in result and result["models"]:
        return "\n".join(line for model in result["models"] for line in _listed(model))
    if "models" not in result and "default" in result:
        return f"{result['default']} opens where no model is named"
    if "models" not in result:
        again = "" if result.get("imported", True) else " already"
        return f"{result['id']} is in {result['folder']}{again}"
    if not result["models"]:
        return "No model is installed; 'canopy-desktop models build' builds the default one."
    return "\n".join(
        f"{model['id']}: {model['problem'] or 'in order'} ({model['folder']})" for model in result["models"]
    )


def _listed(model: Result) -> list[str]:
    place = f"    {model['folder']} ({'own' if model['own'] else 'read-only'})"
    name = f"{model['id']} (default)" if model["default"] else model["id"]
    if model["problem"] is not None:
        return [f"{name}: {model['problem']}", place]
    memory = model["memory"]
    own_graph = [f"    run as its own graph, which gives {', '.join(model['gives'])}"] if model["own_graph"] else []
    return [
        f"{name}: {model['title']}, {model['weights']}, {model['bytes'] / 1e9:.2f} GB",
        f"    about {memory['total_bytes'] / 1e9:.2f} GB of memory with a context of {memory['context']:,} tokens",
        f"    licence {model['licence']}; source {model['source']}",
        *own_graph,
        place,
    ]


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
    "compare": _compare,
    "pipeline": _pipeline,
    "race": _race,
    "beams": _beams,
    "draws": _draws,
    "score": _score,
    "facts": _facts,
    "bench": _bench,
    "doctor": _json,
    "models": _models,
}
