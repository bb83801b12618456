"""Answers AdmissionReviews from what the operator's caches know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from prism_operator.admission.judge import ALLOWED, World, is_judged, judge
from prism_operator.admission.overlay import Overlay
from prism_operator.admission.references import secret_refs
from prism_operator.admission.review import Judgement, Review, answer, read_review
from prism_operator.api.meta import Json, Ref, ref_of
from prism_operator.planning.settings import Settings
from prism_operator.ports import Clock, Ok, Reader, Reason
from prism_operator.runtime.cache import Cache
from prism_operator.runtime.dependencies import RecordingSnapshot

_FRESH_MAX: Final = 32

_log = structlog.get_logger("prism_operator.webhook")


class Reviewer:
    """Judges requests. Writes nothing, so that dry runs are as good as any.

    ``covers`` tells whether the caches know a namespace by now; of others nothing is said.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        reader: Reader,
        clock: Clock,
        settings: Settings,
        covers: Callable[[str], bool],
    ) -> None:
        self._cache = cache
        self._reader = reader
        self._clock = clock
        self._settings = settings
        self._covers = covers

    def respond(self, body: bytes) -> Json:
        """The answer to an AdmissionReview. Raises ReviewError for a body that is none."""
        review = read_review(body)
        judgement = self._judge(review)
        if judgement.denials and review.obj is not None:
            _log.info(
                "Webhook denied a request",
                kind=review.obj["kind"],
                namespace=review.obj["metadata"].get("namespace", ""),
                name=review.obj["metadata"]["name"],
                user=review.username,
                reasons=list(judgement.denials),
            )
        return answer(review, judgement)

    def _judge(self, review: Review) -> Judgement:
        if review.obj is None or not is_judged(review):
            return ALLOWED
        if not self._covers(review.obj["metadata"].get("namespace", "")):
            return ALLOWED
        secrets = self._secrets(review.obj)
        judgement, asked = self._judge_by(review, secrets, {})
        if judgement.allowed:
            return judgement
        # A watch lags behind: whoever has just deleted what is in the way is not to be denied.
        fresh = self._fresh(asked, ref_of(review.obj))
        return self._judge_by(review, secrets, fresh)[0] if fresh else judgement

    def _judge_by(
        self, review: Review, secrets: Mapping[Ref, Json | None], fresh: Mapping[Ref, Json | None]
    ) -> tuple[Judgement, set[Ref]]:
        with self._cache.lock:
            cluster = RecordingSnapshot(Overlay(self._cache, fresh))
            world = World(cluster, self._settings, self._clock.now(), secrets)
            judgement = judge(review, world)
            found = {
                ref
                for ref in cluster.asked
                if isinstance(ref, Ref) and self._cache.get(ref) is not None
            }
        return judgement, found

    def _fresh(self, asked: set[Ref], own: Ref) -> dict[Ref, Json | None]:
        """What has changed of the objects that were looked at."""
        fresh: dict[Ref, Json | None] = {}
        for ref in sorted(asked - {own})[:_FRESH_MAX]:
            outcome = self._reader.get(ref)
            if isinstance(outcome, Ok):
                fresh[ref] = outcome.obj
            elif outcome.reason is Reason.NOT_FOUND:
                fresh[ref] = None
        return fresh

    def _secrets(self, obj: Json) -> dict[Ref, Json | None]:
        """The Secrets that the object names, as far as we may know of them."""
        found: dict[Ref, Json | None] = {}
        for ref in secret_refs(obj):
            outcome = self._reader.get(ref)
            if isinstance(outcome, Ok):
                found[ref] = outcome.obj
            elif outcome.reason is Reason.NOT_FOUND:
                found[ref] = None
        return found
