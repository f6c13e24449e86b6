"""Network of this bundle: the graph in models/model.onnx, run by ONNX Runtime."""

import onnxruntime
import torch
from PIL import Image, ImageOps


class OnnxNetwork(torch.nn.Module):
    """From images in [0, 1], `n c h w`, to predictions; inference only."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Prediction for each image."""
        given = torch.as_tensor(images).detach().float().cpu().numpy()
        (found,) = self.session.run(["answer"], {"images": given})
        return torch.from_numpy(found).to(images.device)


def fit(image: Image.Image, mode: str, side: int, resize: str) -> Image.Image:
    """Upright, in the channels of `mode`, resized to a square as in training."""
    upright = ImageOps.exif_transpose(image).convert(mode)
    return upright.resize((side, side), Image.Resampling[resize])
