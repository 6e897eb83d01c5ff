"""Models taken home: one file a model, as ONNX or by torch.export, checked against the model before it is written.

What is written computes in float32, takes batches of any size, and says in itself what it is. Knows no method. The
libraries of the extra `export` are imported only where ONNX is written.
"""

from sa3dhp_core.export.facts import FACTS
from sa3dhp_core.export.formats import FORMATS, format_of
from sa3dhp_core.export.writing import place_in, write_model

__all__ = ["FACTS", "FORMATS", "format_of", "place_in", "write_model"]
