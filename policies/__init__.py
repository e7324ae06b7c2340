"""The policy pack: what a program with DynamoDB or Kinesis streams must satisfy (docs/policies/README.md)."""
