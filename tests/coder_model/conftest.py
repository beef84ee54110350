import copy

import pytest


@pytest.fixture
def own(model):
    """A model of one's own: merging rearranges where the weights are."""
    return copy.deepcopy(model)
