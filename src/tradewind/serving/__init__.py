"""The prediction service: REST, gRPC and the Open Inference Protocol over the same functions. No kedro, no mlflow."""
