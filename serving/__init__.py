"""What applications call: scoring with ONNX Runtime, never torch."""
