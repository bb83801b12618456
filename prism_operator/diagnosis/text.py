"""A diagnosis as people read it: the cause, the evidence, what to do."""

from __future__ import annotations

from collections.abc import Iterator

from prism_operator.diagnosis.ages import age_text
from prism_operator.diagnosis.findings import Diagnosis, Finding


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """The whole text; its first line names the cause."""
    return "\n".join(_lines(diagnosis)) + "\n"


def headline(diagnosis: Diagnosis) -> str:
    """One sentence."""
    subject = f"{diagnosis.kind} {diagnosis.namespace}/{diagnosis.name}"
    if diagnosis.is_ready:
        if not diagnosis.warnings:
            return f"{subject} is Ready."
        return f"{subject} is Ready, but {_sentence(diagnosis.warnings[0])}"
    verb = "is not known to be Ready" if diagnosis.ready == "Unknown" else "is not Ready"
    cause = diagnosis.cause.sentence if diagnosis.cause else "no reason is to be seen"
    return f"{subject} {verb}: {_ended(cause)}"


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield headline(diagnosis)
    main = diagnosis.cause or (diagnosis.warnings[0] if diagnosis.warnings else None)
    if main is not None:
        yield from _details(main, diagnosis)
    for finding in diagnosis.others:
        yield ""
        yield f"Also: {_sentence(finding)}"
        yield from _remedy(finding)
    for finding in diagnosis.warnings:
        if finding is not main:
            yield ""
            yield f"Warning: {_sentence(finding)}"
            yield from _remedy(finding)
    if diagnosis.unread:
        yield ""
        yield "Not read:"
        for unread in diagnosis.unread:
            yield f"  {unread}"


def _details(finding: Finding, diagnosis: Diagnosis) -> Iterator[str]:
    if finding.evidence:
        yield ""
        yield "Evidence:"
        width = max(len(e.object) for e in finding.evidence)
        for evidence in finding.evidence:
            age = age_text(evidence.since, diagnosis.now)
            since = f"  ({age})" if age else ""
            yield f"  {evidence.object.ljust(width)}  {_on_one_line(evidence.what)}{since}"
    if finding.remedy is not None:
        yield ""
        yield "What to do:"
        yield f"  {finding.remedy.text}"
        for command in finding.remedy.commands:
            yield f"    {command}"


def _remedy(finding: Finding) -> Iterator[str]:
    if finding.remedy is not None:
        yield f"  {finding.remedy.text}"
        for command in finding.remedy.commands:
            yield f"    {command}"


def _sentence(finding: Finding) -> str:
    return _ended(finding.sentence)


def _ended(text: str) -> str:
    text = _on_one_line(text)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
