"""Network of this bundle: the graph in models/model.onnx, run by ONNX Runtime."""

from pathlib import Path

import onnxruntime
import torch
from PIL import Image

from medshot.data.io.pixels import squared
from medshot.stages.export.image_files import pixels_in


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


def fit(image: Image.Image, channels: int, side: int, resize: str) -> Image.Image:
    """The pixels of the file that `image` was opened from, as in training."""
    path = Path(str(image.filename))  # pyright: ignore[reportAttributeAccessIssue]
    pixels = squared(pixels_in(path), channels, side, resize)
    return Image.fromarray(pixels[0] if channels == 1 else pixels.transpose(1, 2, 0))
