"""Writers that store the recorded curves: TensorBoard, MLflow, text files and reports."""
