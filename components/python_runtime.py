"""The Python that functions run on: what code and packages are built for."""

#: The version of Lambda's runtime `python3.13`, supported until 2029-06-30
#: (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html).
PYTHON_VERSION = "3.13"

#: Graviton: the same memory costs a fifth less than on x86_64.
ARCHITECTURE = "arm64"
