"""Sentences on the training: batches and accumulation, learning rates, AWP and mixout."""

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report.facts import Facts
from stages.report.language import Language, sentence
from stages.report.setting import REGULARIZERS, TUNED, setting


def batching(facts: Facts, words: Language) -> str:
    """How the batch of an optimizer step was split: said once if it is the same for all methods, otherwise for each."""
    cuts = {}
    for method in METHODS:
        log = facts.training[method]
        steps, processes = log["accumulation_steps"], log["processes"]
        kind = "one" if steps == 1 else "other"
        shared = words.say("batching.processes", processes=processes) if processes > 1 else ""
        cuts[method] = words.say(f"batching.{kind}", size=log["micro_batch_size"], steps=steps, shared=shared)
    if len(set(cuts.values())) == 1:
        return cuts["full"]
    return "; ".join(words.say("batching.method", label=words.label(method), cut=cut) for method, cut in cuts.items())


def tuning(facts: Facts, words: Language) -> str:
    """Whether the learning rates were chosen on these data with these parameters, and what was not tuned."""
    rates = facts.learning_rates
    used = ", ".join(f"{words.say(f'short.{method}')} {facts.training[method]['learning_rate']:g}" for method in METHODS)
    if not tuned_here(facts):
        return words.say("tuning.elsewhere", used=used)
    budget = {"rows": f"{rates['train_rows'].iloc[0]:,}", "epochs": rates["epochs"].iloc[0]}
    by_hand = [words.the(method) for method in METHODS if facts.training[method]["learning_rate"] != _best(facts, method)]
    said = words.say("tuning.here_by_hand" if by_hand else "tuning.here", used=used, methods=words.listed(by_hand), **budget)
    return sentence([said, edge(facts, words)])


def tuned_here(facts: Facts) -> bool:
    """Whether the committed search for learning rates had this run's data, encoder and parameters."""
    return bool((facts.learning_rates["setting"] == setting(facts.params, TUNED)).all())


def _best(facts: Facts, method: str) -> float:
    rows = facts.learning_rates[facts.learning_rates["method"] == method]
    return float(rows.loc[rows["validation_f1"].idxmax(), "learning_rate"])


def edge(facts: Facts, words: Language) -> str:
    """The methods whose best candidate is the smallest or largest tried, so that a better one may lie outside the range."""
    edges = []
    for method, rows in facts.learning_rates.groupby("method", sort=False):
        if _best(facts, method) in (rows["learning_rate"].min(), rows["learning_rate"].max()):
            edges.append(words.the(method))
    return words.say("tuning.edge", methods=words.listed(edges)) if edges else words.say("tuning.inside")


def learning_rates(facts: Facts, words: Language) -> str:
    """The result of the search for every candidate, or that it does not belong to this run."""
    if not tuned_here(facts):
        return words.say("tuning.no_table")
    rows = []
    for row in facts.learning_rates.itertuples():
        used = facts.training[row.method]["learning_rate"] == row.learning_rate
        value = f"{row.learning_rate:g}" + (f" ({words.say('used')})" if used else "")
        rows.append((words.label(row.method), value, f"{row.validation_f1:.4f}", f"{row.validation_loss:.4f}"))
    return markdown_table(words.header("learning_rates"), rows)


def awp(facts: Facts, words: Language) -> str:
    """What AWP is and did in each training, or that it was off."""
    settings = facts.params.awp
    if not settings.enabled:
        return words.say("awp.off")
    window = f"{settings.window_start:g}", f"{settings.window_end:g}"
    half = (settings.window_start, settings.window_end) == (0.5, 1.0)
    when = words.say("awp.half") if half else words.say("awp.window", start=window[0], end=window[1])
    if settings.box is None:
        size, move = words.say("awp.epsilon", epsilon=f"{settings.epsilon:g}"), words.say("awp.by_epsilon")
    else:
        box = f"{settings.box:g}"
        size, move = words.say("awp.box", step=f"{settings.step:g}", box=box), words.say("awp.by_box", box=box)
    what = {"which": words.say(f"awp.{settings.target}"), "embeddings": words.say(f"awp.{settings.embeddings}")}
    return sentence([words.say("awp.on", size=size, move=move, when=when, **what), _done(facts, words)])


def _done(facts: Facts, words: Language) -> str:
    done = {}
    for method in METHODS:
        log = facts.training[method]
        micro, optimizer = log["awp_steps"], round(log["awp_steps"] / log["accumulation_steps"])
        numbers = {"steps": f"{micro:,}", "optimizer": f"{optimizer:,}", "mean": f"{log['awp_relative_step_mean']:.4f}"}
        numbers["of"] = f"{log['optimizer_steps']:,}"
        done[method] = words.say("awp.done", unmoved=f"{100 * log['awp_unmoved_share']:.2f}", **numbers)
    first = words.say("awp.first_process") if any(facts.training[method]["processes"] > 1 for method in METHODS) else ""
    if len(set(done.values())) == 1:
        return words.say("awp.alike", done=done["full"], first=first)
    each = "; ".join(words.say("awp.each", label=words.label(method), done=text) for method, text in done.items())
    return words.say("awp.by_method", each=each, first=first)


def perturbation(facts: Facts, words: Language) -> str:
    """A table of what AWP did in each training, or that it was off."""
    if not facts.params.awp.enabled:
        return words.say("awp.off")
    rows = []
    for method in METHODS:
        log = facts.training[method]
        moved = f"{log['awp_relative_step_mean']:.5f}", f"{log['awp_relative_step_max']:.5f}"
        rows.append((words.label(method), f"{log['awp_steps']:,}", *moved, f"{100 * log['awp_unmoved_share']:.3f} %"))
    return f"{words.say('awp.table')}\n\n{markdown_table(words.header('perturbation'), rows)}"


def accumulated(facts: Facts, words: Language) -> str:
    """When micro-batches give the step of the whole batch: what draws or perturbs anew in each of them is in the way."""
    on = facts.params
    return words.say(f"accumulated.{'awp' if on.awp.enabled else 'mixout' if on.mixout.enabled else 'plain'}")


def mixout(facts: Facts, words: Language) -> str:
    """What mixout is and where it acts, or that it was off."""
    if not facts.params.mixout.enabled:
        return words.say("mixout.off")
    return words.counted("mixout.on", facts.training["full"]["mixout_layers"], p=f"{facts.params.mixout.p:g}")


def ablation_belongs(facts: Facts) -> bool:
    """Whether both regularizers acted and the experiment without them had this run's training rows and parameters.

    Its table is committed and not recomputed in every run; next to the numbers of a different run it would mislead.
    """
    both = facts.params.awp.enabled and facts.params.mixout.enabled
    same_rows = (facts.ablation["train_rows"] == facts.data["train_rows"]).all()
    return bool(both and same_rows and (facts.ablation["setting"] == setting(facts.params, REGULARIZERS)).all())


def regularizers(facts: Facts, words: Language) -> str:
    """How validation F1 changes with both regularizers, where the experiment without them belongs to the run."""
    listed = gains(facts, words)
    return words.say("ablation.gains", gains=listed, rows=f"{facts.data['validation_rows']:,}") if listed else ""


def gains(facts: Facts, words: Language) -> str:
    """By how much both regularizers together change validation F1 of each method that learned; "" if that is not known."""
    if not ablation_belongs(facts):
        return ""
    learned = [method for method in METHODS if method not in facts.failed]
    differences = {method: facts.kept(method).f1 - facts.ablation.loc[method, "validation_f1"] for method in learned}
    return ", ".join(f"{words.say(f'short.{method}')} {gain:+.3f}" for method, gain in differences.items())


def ablation(facts: Facts, words: Language) -> str:
    """Best validation scores with both regularizers, from the pipeline, and without, from the experiment."""
    if not ablation_belongs(facts):
        return words.say("ablation.none")
    rows = []
    for method in METHODS:
        kept, without = facts.kept(method), facts.ablation.loc[method]
        scores = f"{kept.f1:.4f}", f"{without.validation_f1:.4f}", f"{kept.f1 - without.validation_f1:+.4f}"
        rows.append((words.label(method), *scores, f"{kept.validation_loss:.4f}", f"{without.validation_loss:.4f}"))
    return f"{words.say('ablation.table')}\n\n{markdown_table(words.header('ablation'), rows)}"
