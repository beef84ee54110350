"""What is known of a model, as `unmask models info` prints it."""

from __future__ import annotations

from coder_model.checkpoints.catalogue import Entry, entry_of
from coder_model.checkpoints.store import EMBEDDED, Store
from coder_model.model.embedded import DEFAULT_MODEL


def facts_of(name: str) -> dict[str, str]:
    """Returns what there is to say of a model by what it says; an empty text where nothing is known.

    Raises:
        ModelFileError: when it is neither the embedded one nor in the catalogue.
    """
    return _embedded_facts() if name == EMBEDDED else _facts(entry_of(name))


def _embedded_facts() -> dict[str, str]:
    n_bytes = sum(file.stat().st_size for file in DEFAULT_MODEL.iterdir())
    return {
        "source": "comes with the package: it is neither fetched nor removed",
        "trained to infill": "yes",
        "for": "any processor, and while a larger model loads",
        "installed": str(DEFAULT_MODEL),
        "size": f"{n_bytes / 1e9:.2f} GB",
        "made of": f"{DEFAULT_MODEL / 'MODEL_CARD.md'}, which says its licence too",
    }


def _facts(entry: Entry) -> dict[str, str]:
    facts = {
        "source": f"{entry.source} at {entry.revision}",
        "family": entry.family,
        "parameters": f"{entry.parameters:g} B",
        "licence": entry.licence,
        "mind": entry.warning,
        "file": f"{entry.file.name}, sha256 {entry.file.sha256}" if entry.file else "",
        "a pull is": entry.to_fetch,
        "trained to infill": "yes" if entry.infills else "no",
        "for": entry.card,
        "scores": f"{entry.scores} ({entry.source_of_scores})" if entry.source_of_scores else entry.scores,
    }
    installed = next((manifest for manifest in Store().installed() if manifest.name == entry.name), None)
    if installed:
        facts |= {"installed": installed.directory, "size": f"{installed.n_bytes / 1e9:.2f} GB"}
        facts |= {"came from": f"{installed.source} at {installed.commit}" if installed.commit else installed.source}
    return facts
