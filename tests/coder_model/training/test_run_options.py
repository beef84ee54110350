import math

import pytest

from coder_model.errors import CorpusError
from coder_model.training.run_options import read_options


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": -5}, "Expected `int` >= 1 - at `$.steps`"),
        ({"steps": "x"}, "Expected `int`, got `str` - at `$.steps`"),
        ({"rows": 0}, "at `$.rows`"),
        ({"rows": 1e9}, "at `$.rows`"),
        ({"rows": 1_000_000_000}, "at `$.rows`"),
        ({"length": 0}, "at `$.length`"),
        ({"minutes": 0}, "at `$.minutes`"),
        ({"minutes": math.nan}, "at `$.minutes`"),
        ({"decay_share": 2}, "at `$.decay_share`"),
        ({"validate_every": 0}, "at `$.validate_every`"),
        ({"bf16": "yes"}, "at `$.bf16`"),
        ({"stepz": 1}, "--options has no stepz; there are steps, "),
        ({"noise": 3}, "--options noise must be an object, got 3"),
        ({"noise": {"a": 1}}, "--options has no noise.a; there are "),
        ({"noise": {"slots": 100}}, "block_lengths must divide slots"),
        ({"noise": {"min_rate": -0.1}}, "at `$.noise.min_rate`"),
        ({"model": {"d_modle": 3}}, "--options has no model.d_modle; there are d_model, "),
        ({"model": {"d_model": 0}}, "Expected `int` >= 1 - at `$.model.d_model`"),
        ({"model": {"n_layers": 10**9}}, "Expected `int` <= 1024 - at `$.model.n_layers`"),
        ({"model": {"context_tokens": "long"}}, "Expected `int`, got `str` - at `$.model.context_tokens`"),
        ({"model": {"n_heads": 3}}, "n_heads must be a multiple of n_kv_heads, got 3 and 2"),
        ({"model": {"attention": "all"}}, "at `$.model.attention`"),
    ],
)
def test_an_option_out_of_its_range_is_named_before_anything_is_read(values, message, tmp_path):
    with pytest.raises(CorpusError) as raised:
        read_options("/nowhere", str(tmp_path), values)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
