"""The policy pack: the demands on a program with DynamoDB or Kinesis streams (docs/policies/README.md)."""
