# docker build -t pmrpipe .
# docker run --rm -v /data/mine:/data:ro -v "$PWD/results:/opt/pmrpipe/results" pmrpipe \
#     --cores 8 --configfile config/bids.yaml --config root=/data cohort=mine
FROM python:3.11-slim
WORKDIR /opt/pmrpipe
# The exact set first, so that a change in the sources does not install it anew.
COPY constraints.txt .
RUN pip install --no-cache-dir --no-deps -r constraints.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --editable .
# Any user may run it: caches of matplotlib and others go to a folder that all may write.
ENV HOME=/tmp
ENTRYPOINT ["snakemake"]
