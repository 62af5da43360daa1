# One image for every part; docker-compose.yml says which command each runs.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 EPIS_DATA=/var/lib/epis
WORKDIR /srv/epis

COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

COPY manage.py ./
COPY epis epis
COPY apps apps
COPY tasks tasks
COPY kit kit
RUN SECRET_KEY=not-kept python manage.py collectstatic --noinput --verbosity 0 \
    && useradd --system --no-create-home epis \
    && chown -R epis $EPIS_DATA
USER epis
