"""The Temporal Fusion Transformer of pytorch-forecasting, run over whole windows."""

import logging
import warnings
from typing import Any, cast

import torch
from pytorch_forecasting.models import TemporalFusionTransformer
from torch import Tensor, nn
from torch.nn import functional

from tradewind.models.sequence.backbones import Encoded
from tradewind.models.sequence.parameters import SequenceParameters

AHEAD = "horizon"  # the one thing known of the future: how far it is


class Backbone(nn.Module):
    """The Temporal Fusion Transformer (Lim, Arik, Loeff and Pfister 2021): variable selection, a memory, attention.

    Its modules and weights are pytorch-forecasting's; a decoder step is a horizon, which knows how far ahead it is.
    All windows here are whole, so that its packing of unequal lengths falls away, and the variables' networks, which
    it runs one after the other, run as one. Its own way over the same batch gives the same (tested).
    """

    def __init__(self, n_features: int, horizons: tuple[int, ...], parameters: SequenceParameters) -> None:
        """A vector of `hidden` a horizon out. Two features at least."""
        super().__init__()
        names = [f"feature_{place}" for place in range(n_features)]
        hidden = parameters.hidden
        quiet = logging.getLogger("lightning.pytorch")
        level = quiet.level
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the loss is kept as a hyper-parameter, of which none is used
            quiet.setLevel(logging.ERROR)
            self.fusion: Any = TemporalFusionTransformer(
                hidden_size=hidden, hidden_continuous_size=hidden, lstm_layers=1, dropout=0.0, output_size=1,
                attention_head_size=parameters.attention_heads, max_encoder_length=parameters.window_bars,
                time_varying_reals_encoder=names, time_varying_reals_decoder=[AHEAD], x_reals=[*names, AHEAD],
                causal_attention=False, logging_metrics=nn.ModuleList(), mask_bias=-1e9,
            )  # fmt: skip
            quiet.setLevel(level)
        self.fusion.output_layer = nn.Identity()
        self.width = hidden
        far = torch.log1p(torch.tensor(horizons, dtype=torch.float32))
        self.register_buffer("ahead", (far / far.max())[None, :, None], persistent=False)

    def forward(self, x: Tensor) -> Encoded:
        """From (batch, length, features)."""
        fusion, batch, length = self.fusion, x.shape[0], x.shape[1]
        nothing = x.new_zeros((batch, self.width))  # there are no static variables
        context = fusion.static_context_variable_selection(nothing)[:, None]
        past, chosen = _select(fusion.encoder_variable_selection, x, context)
        ahead = cast(Tensor, self.ahead).expand(batch, -1, -1)
        (grn,) = fusion.decoder_variable_selection.single_variable_grns.values()
        future = grn(fusion.decoder_variable_selection.prescalers[AHEAD](ahead))
        state = (
            fusion.static_context_initial_hidden_lstm(nothing)[None],
            fusion.static_context_initial_cell_lstm(nothing)[None],
        )
        encoded, state = nn.LSTM.forward(fusion.lstm_encoder, past, state)
        decoded, _ = nn.LSTM.forward(fusion.lstm_decoder, future, state)
        remembered = torch.cat(
            [
                fusion.post_lstm_add_norm_encoder(fusion.post_lstm_gate_encoder(encoded), past),
                fusion.post_lstm_add_norm_decoder(fusion.post_lstm_gate_decoder(decoded), future),
            ],
            dim=1,
        )
        enriched = fusion.static_enrichment(remembered, fusion.static_context_enrichment(nothing)[:, None])
        asking = enriched[:, length:]
        # Every horizon sees the whole window and the other horizons: nothing in them is unknown at the last bar.
        attended, attention = fusion.multihead_attn(q=asking, k=enriched, v=enriched, mask=None)
        attended = fusion.post_attn_gate_norm(attended, asking)
        vectors = fusion.pre_output_gate_norm(fusion.pos_wise_ff(attended), remembered[:, length:])
        over_bars = attention[:, -1, :, :length].mean(dim=1)
        return Encoded(vectors, over_bars / over_bars.sum(dim=1, keepdim=True), chosen.mean(dim=1))


def _select(selection: Any, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """Variable selection: (batch, length, hidden), and the weights (batch, length, features).

    The same arithmetic as the module's own forward, with the features' networks as one batched product each.
    """
    scalers = [selection.prescalers[name] for name in selection.input_sizes]
    networks = [selection.single_variable_grns[name] for name in selection.input_sizes]
    batch, length, features = x.shape
    flat = x.reshape(-1, features).t()[:, :, None]  # (features, batch * length, 1)
    scaled = _linear(flat, scalers)
    inner = _linear(functional.elu(_linear(scaled, [one.fc1 for one in networks])), [one.fc2 for one in networks])
    gated = functional.glu(_linear(inner, [one.gate_norm.glu.fc for one in networks]), dim=-1)
    norms = [one.gate_norm.add_norm.norm for one in networks]
    usual = functional.layer_norm(gated + scaled, (selection.hidden_size,), eps=norms[0].eps)
    each = torch.addcmul(
        torch.stack([one.bias for one in norms])[:, None], usual, torch.stack([one.weight for one in norms])[:, None]
    )
    together = scaled.permute(1, 0, 2).reshape(batch, length, -1)
    weights = functional.softmax(selection.flattened_grn(together, context), dim=-1)
    by_row = weights.reshape(-1, features).t()[:, :, None]
    return (each * by_row).sum(dim=0).reshape(batch, length, -1), weights


def _linear(x: Tensor, layers: list[nn.Linear]) -> Tensor:
    """(layers, rows, in) to (layers, rows, out), each layer on its own slice."""
    weight = torch.stack([one.weight for one in layers]).transpose(1, 2)
    return torch.baddbmm(torch.stack([one.bias for one in layers])[:, None], x, weight)
