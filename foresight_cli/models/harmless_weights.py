"""Weights that a checkpoint may hold although the network has no place for them, by kind of network.

Regular expressions for their names. These weights come after the last layer that can be tapped, belong to another
tower, or are not weights but numbers that the class computes itself.
"""

from __future__ import annotations

_COMPUTED = (
    r"rotary(_pos)?_emb\.inv_freq$",
    r"(^|\.)position_ids$",
    r"(^|\.)num_batches_tracked$",
    r"(^|\.)relative_position_index$",
)

QWEN25VL = (
    *_COMPUTED,
    r"^(model\.)?lm_head\.",
    r"^(score|v_head|value_head|reward_head|classifier)\.",  # heads of a classifier, a value or a reward model
)

OTHER_TOWERS = (
    r"^(text_model|text_encoder|text_decoder|language_model|qformer|q_former|multi_modal_projector)\.",
    r"^(text_projection|visual_projection|text_proj|vision_proj|language_projection)(\.|$)",
)
"""The parts of a network with two towers other than the image tower."""

VISION = (
    *_COMPUTED,
    *OTHER_TOWERS,
    # heads of classification, detection, segmentation, masked and contrastive training, after the last layer
    r"^(\w+_)?classifier(_distill)?\.",
    r"^(\w+_)?head\.",
    r"^(fc|norm|layernorm)\.",  # of a classifier whose AutoModel ends before its norm: HGNet, PoolFormer, SwiftFormer
    r"^(decoder|neck|projector|bbox_predictor|patch_classifier|fpn\d*|qa_outputs|pre_classifier|fc_norm)\.",
    r"(^|\.)mask_token$",
    r"^(\w+\.)?pooler\.",
    r"^(logit_scale|logit_bias|query_tokens)$",
)

AUTOENCODER = (
    r"^loss\.",  # the discriminator and the perceptual network that it was trained with
    r"^model_ema\.",
)
