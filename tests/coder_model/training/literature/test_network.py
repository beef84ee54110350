"""What a network says of tokens and of the noise level."""

import torch

from coder_model.model.config import ModelConfig
from coder_model.training.literature.network import Denoiser
from coder_model.training.literature.schemes import bidirectional

CONFIG = ModelConfig(vocab_size=32, d_model=64, n_layers=2, n_heads=2, n_kv_heads=2, head_dim=32, d_ff=128)


def test_the_noise_level_does_not_drown_the_tokens():
    network = Denoiser(CONFIG, takes_time=True)
    network.initialise_(0)
    # as large as any other matrix: what it grows to in the first steps of a training
    torch.nn.init.normal_(network.noise_level.last.weight, std=CONFIG.d_model**-0.5)
    said = network.noise_level(torch.rand(64))
    assert said.std() > 0.1
    tokens, positions = torch.arange(32)[None], torch.arange(32)[None]
    with torch.no_grad():
        early, late = (network(tokens, positions, bidirectional(), torch.tensor([time])) for time in (0.1, 0.9))
    of_tokens = (early - early.mean(dim=1, keepdim=True)).norm()
    of_time = (early - late).norm()
    assert of_time < of_tokens
