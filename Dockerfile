# The operator alone, without a compiler, a package manager of Python or the tests' dependencies.
# Python 3.11 is what CI runs the tests with.

FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY scripts scripts
COPY prism_operator prism_operator
COPY simulator simulator
RUN scripts/install-operator /opt/prism-operator

FROM python:3.11-slim
COPY --from=build /opt/prism-operator /opt/prism-operator
# The root file system may be read-only.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# "nonroot": a number, so that runAsNonRoot can be checked.
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/opt/prism-operator/bin/prism-operator", "run"]
