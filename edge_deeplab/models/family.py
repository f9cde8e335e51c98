"""The members of the family as they were published: the papers' tables as specifications, for 21 classes of Pascal VOC.

Change them with ``dataclasses.replace``: other classes, another output stride, a person instead of 21 classes.
"""

from __future__ import annotations

from dataclasses import replace

from edge_deeplab.spec import WITH_MULTI_GRID, Backbone, Fusion, NetworkSpec, Rectifier

_VOC = 21

DEEPLAB_V1 = NetworkSpec(
    backbone=Backbone.VGG_16,
    output_stride=8,
    aspp_fusion=Fusion.SUMMED,
    atrous_rates=(12,),
    aspp_hidden=True,
    aspp_channels=1024,
    aspp_separable=False,
    image_pooling=False,
    decoder=False,
    head_rectifier=Rectifier.RELU,
    num_classes=_VOC,
)
"""DeepLab-LargeFOV (Chen et al. 2014, arXiv 1412.7062, table 2): 3x3 at rate 12, 1024 channels. Its CRF comes after."""

DEEPLAB_V2 = NetworkSpec(
    backbone=Backbone.RESNET_101,
    output_stride=8,
    aspp_fusion=Fusion.SUMMED,
    atrous_rates=(6, 12, 18, 24),
    aspp_separable=False,
    image_pooling=False,
    decoder=False,
    head_rectifier=Rectifier.RELU,
    input_scales=(0.5, 0.75, 1.0),
    num_classes=_VOC,
)
"""ResNet-101, ASPP-L, multi-scale max fusion (Chen et al. 2016, arXiv 1606.00915, section 4.1.2)."""

DEEPLAB_V3 = NetworkSpec(
    backbone=Backbone.RESNET_101,
    multi_grid=(1, 2, 4),
    aspp_separable=False,
    decoder=False,
    head_rectifier=Rectifier.RELU,
    num_classes=_VOC,
)
"""ResNet-101, multi-grid, ASPP with image pooling (Chen et al. 2017, arXiv 1706.05587, tables 5 and 6)."""

DEEPLAB_V3_PLUS = NetworkSpec(backbone=Backbone.XCEPTION_65, head_rectifier=Rectifier.RELU, num_classes=_VOC)
"""Xception-65, separable ASPP and decoder (Chen et al. 2018, arXiv 1802.02611, table 5)."""

DEEPLAB_V3_MOBILENET_V2 = NetworkSpec(atrous_rates=(), decoder=False, head_rectifier=Rectifier.RELU6, num_classes=_VOC)
"""MobileNetV2 with 1x1 and image pooling only (Sandler et al. 2018, arXiv 1801.04381, section 6.3)."""

TORCHVISION_RESNET_50 = NetworkSpec(
    backbone=Backbone.RESNET_50,
    output_stride=8,
    aspp_separable=False,
    aspp_refine=True,
    decoder=False,
    head_rectifier=Rectifier.RELU,
    num_classes=_VOC,
)
"""torchvision's ``deeplabv3_resnet50``: a 3x3 behind ASPP, no multi-grid."""

TORCHVISION_RESNET_101 = replace(TORCHVISION_RESNET_50, backbone=Backbone.RESNET_101)
"""torchvision's ``deeplabv3_resnet101``."""

TORCHVISION_MOBILENET_V3 = NetworkSpec(
    backbone=Backbone.MOBILENET_V3_LARGE,
    atrous_rates=(12, 24, 36),
    aspp_separable=False,
    aspp_refine=True,
    decoder=False,
    head_rectifier=Rectifier.RELU,
    num_classes=_VOC,
)
"""torchvision's ``deeplabv3_mobilenet_v3_large``: the rates of output stride 8 at 16."""


def with_backbone(member: NetworkSpec, backbone: Backbone) -> NetworkSpec:
    """A member's head on another backbone, which brings its rectifier; multi-grid stays where the backbone has it."""
    return replace(
        member,
        backbone=backbone,
        head_rectifier=Rectifier.RELU6 if backbone is Backbone.MOBILENET_V2 else Rectifier.RELU,
        multi_grid=member.multi_grid if backbone in WITH_MULTI_GRID else (),
    )
