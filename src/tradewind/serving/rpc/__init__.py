"""gRPC over the service's functions. `*_pb2*` are made from `prediction.proto` by `make proto`."""
