"""Which licences of data allow that weights trained on them are passed on with the package."""

from __future__ import annotations

import re

# What may follow a licence's name: its version, and the words around it.
_VERSION = r"( (v|version )?\d(\.\d)*)?"
_TAIL = r"( (universal|international|generic|unported))?( licen[cs]e)?"
_ALLOWED = {
    "CC0": r"(cc ?0|creative commons (cc0|zero))%s%s( public domain dedication)?",
    "PDDL": r"((odc )?pddl|(open data commons )?public domain dedication and licen[cs]e( pddl)?)"
    r"%s%s",
    "CC BY": r"(cc ?by|creative commons attribution)( licen[cs]e)?%s%s",
    "Apache": r"apache( software)?( licen[cs]e)?%s%s",
    "MIT": r"mit%s%s",
    "BSD": r"((new|modified|simplified|revised|original) )?(bsd|0bsd)( [0-4] clause)?%s%s",
}
_PLACES = {
    "CC0": r"creativecommons\.org/publicdomain/zero/\d",
    "PDDL": r"opendatacommons\.org/licenses/pddl",
    "CC BY": r"creativecommons\.org/licenses/by/\d",
    "Apache": r"apache\.org/licenses/license-\d",
    "MIT": r"opensource\.org/licenses?/mit",
    "BSD": r"opensource\.org/licenses?/bsd",
}
# Anywhere in the text: no derivatives, not commercially, share alike.
_REFUSED = r"\b(nc|nd|sa)\b|non ?commercial|no ?deriv|share ?alike"
# OpenNeuro's sentence around a licence.
_SENTENCE = r"^this dataset is made available under the (.*?) whose full text can be found.*$"


def allowed_licence(text: str | None) -> str | None:
    """Short name of a licence that allows it: CC0, PDDL, CC BY, Apache, MIT, BSD; else None.

    Identifiers (CC-BY-4.0), the usual names and the addresses are known; anything that is said
    besides makes it another licence.
    """
    plain = _plain(text or "")
    if re.search(_REFUSED, plain):
        return None
    address = (text or "").strip().lower().rstrip("/")
    for name, place in _PLACES.items():
        if re.fullmatch(rf"(https?://)?(www\.)?{place}[\w./-]*", address):
            return name
    for name, pattern in _ALLOWED.items():
        if re.fullmatch("(the )?" + pattern % (_VERSION, _TAIL), plain):
            return name
    return None


def _plain(text: str) -> str:
    """Lower case, one space between words, no punctuation but the dots of versions."""
    words = re.sub(r"[^a-z0-9.]+", " ", text.lower()).strip(" .")
    return re.sub(_SENTENCE, r"\1", words).strip()
