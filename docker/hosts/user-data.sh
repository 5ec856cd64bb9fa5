#!/bin/bash
# User data of a worker group's launch template. The image is baked by ansible/site.yml (role worker): everything is
# installed and enabled but not configured. Here the host fetches its configuration, and starts. No secret in here: user
# data can be read by whoever may describe the template.
set -euo pipefail
REGION=eu-north-1
SECRET=quarterdeck/airflow-env   # Secrets Manager: the lines of /etc/quarterdeck/airflow.env

umask 027
aws secretsmanager get-secret-value --region "$REGION" --secret-id "$SECRET" --query SecretString --output text \
  > /etc/quarterdeck/airflow.env.new
chown root:airflow /etc/quarterdeck/airflow.env.new
mv /etc/quarterdeck/airflow.env.new /etc/quarterdeck/airflow.env

# Who it is (instance id, queue, concurrency, version) is asked of the metadata service by quarterdeck-host.service.
systemctl start quarterdeck-poweroff.path airflow-worker.service
