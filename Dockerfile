# One image for every Airflow service. Built twice over: the first stage needs pip, the second only the result.
FROM python:3.12.12-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

RUN python -m venv /opt/skillyard/.venv
WORKDIR /build
# The lock is complete, so pip resolves nothing: the same versions as `make` installs.
COPY requirements.txt ./
RUN /opt/skillyard/.venv/bin/pip install --no-deps --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/skillyard/.venv/bin/pip install --no-deps .


FROM python:3.12.12-slim-bookworm

# libgomp1: the language models and the classifiers compute with OpenMP. tesseract reads scans; add tesseract-ocr-fra … for your languages.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 tesseract-ocr tesseract-ocr-deu \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 skillyard \
    && useradd --uid 10001 --gid 10001 --create-home skillyard \
    && install --directory --owner skillyard --group skillyard \
        /var/lib/skillyard /var/lib/skillyard/airflow /var/lib/skillyard/airflow/auth /var/lib/skillyard/airflow/logs

COPY --from=build /opt/skillyard/.venv /opt/skillyard/.venv
WORKDIR /opt/skillyard
COPY dags ./dags
COPY plugins ./plugins
COPY include ./include

ENV PATH=/opt/skillyard/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/var/lib/skillyard/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/skillyard/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/skillyard/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    AIRFLOW__CORE__MP_START_METHOD=fork \
    SKILLYARD_HOME=/opt/skillyard \
    GX_ANALYTICS_ENABLED=false \
    LITELLM_LOCAL_MODEL_COST_MAP=True \
    SCARF_ANALYTICS=false

USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --retries=5 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/v2/monitor/health', timeout=8)"]
CMD ["airflow", "api-server"]
