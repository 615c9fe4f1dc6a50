"""The Temporal Fusion Transformer of pytorch-forecasting, run over whole windows."""

import logging
import warnings
from typing import Any, cast

import torch
from pytorch_forecasting.models import TemporalFusionTransformer
from torch import Tensor, nn
from torch.nn import functional

from tradewind.learning.models.sequence.backbones import Encoded
from tradewind.learning.models.sequence.parameters import SequenceParameters

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
        nothing = x.new_zeros((1, self.width))  # there are no static variables: the same for the whole batch
        context = fusion.static_context_variable_selection(nothing)
        past, chosen = _select(fusion.encoder_variable_selection, x, context)
        ahead = cast(Tensor, self.ahead).expand(batch, -1, -1)
        (grn,) = fusion.decoder_variable_selection.single_variable_grns.values()
        future = grn(fusion.decoder_variable_selection.prescalers[AHEAD](ahead))
        state = (
            fusion.static_context_initial_hidden_lstm(nothing)[None].expand(-1, batch, -1).contiguous(),
            fusion.static_context_initial_cell_lstm(nothing)[None].expand(-1, batch, -1).contiguous(),
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

    The arithmetic of the module's own forward, with the features' networks as one batched product. Each feature is one
    number, so that whatever is linear in its embedding is a line in the number: its slope and its value at zero are
    computed from the weights, and the embeddings of a batch are made once, for the residual.
    """
    networks = [selection.single_variable_grns[name] for name in selection.input_sizes]
    scalers = [selection.prescalers[name] for name in selection.input_sizes]
    batch, length, features = x.shape
    slope, at_zero = torch.stack([one.weight[:, 0] for one in scalers]), torch.stack([one.bias for one in scalers])
    flat = x.reshape(-1, features)
    column = flat.t()[:, :, None]  # (features, batch * length, 1)

    first = torch.stack([one.fc1.weight for one in networks])
    bias = torch.stack([one.fc1.bias for one in networks])
    inner_slope = torch.einsum("voh,vh->vo", first, slope)
    inner_zero = torch.einsum("voh,vh->vo", first, at_zero) + bias
    inner = functional.elu(torch.addcmul(inner_zero[:, None], column, inner_slope[:, None]))
    # Nothing stands between the second layer and the gate: they are one.
    gate = torch.stack([one.gate_norm.glu.fc.weight for one in networks])
    merged = torch.bmm(gate, torch.stack([one.fc2.weight for one in networks]))
    shift = torch.einsum("voh,vh->vo", gate, torch.stack([one.fc2.bias for one in networks]))
    shift = shift + torch.stack([one.gate_norm.glu.fc.bias for one in networks])
    gated = functional.glu(torch.baddbmm(shift[:, None], inner, merged.transpose(1, 2)), dim=-1)
    scaled = torch.addcmul(at_zero[:, None], column, slope[:, None])
    norms = [one.gate_norm.add_norm.norm for one in networks]
    usual = functional.layer_norm(gated + scaled, (selection.hidden_size,), eps=norms[0].eps)

    weights = functional.softmax(_weigh(selection.flattened_grn, flat, slope, at_zero, context), dim=-1)
    by_row = weights.t()[:, :, None] * torch.stack([one.weight for one in norms])[:, None]
    chosen = (usual * by_row).sum(dim=0) + weights @ torch.stack([one.bias for one in norms])
    return chosen.reshape(batch, length, -1), weights.reshape(batch, length, features)


def _weigh(network: Any, flat: Tensor, slope: Tensor, at_zero: Tensor, context: Tensor) -> Tensor:
    """The gated residual network over all embeddings side by side (rows, features), which are not made: it begins with
    what is linear in them."""
    features = len(slope)
    one_by_one = (torch.eye(features, dtype=slope.dtype, device=slope.device)[:, :, None] * slope).reshape(features, -1)
    zero = at_zero.reshape(1, -1)
    if network.input_size == network.output_size:
        residual = flat @ one_by_one + zero
    else:
        resample = network.resample_norm
        lines, start = resample.resample(one_by_one), resample.resample(zero)
        residual = resample.norm((flat @ lines + start) * torch.sigmoid(resample.mask) * 2.0)
    first = network.fc1.weight.t()
    inner = flat @ (one_by_one @ first) + (zero @ first + network.fc1.bias + network.context(context))
    return cast(Tensor, network.gate_norm(network.fc2(functional.elu(inner)), residual))
