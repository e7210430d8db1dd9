# vmagent
vmagent -promscrape.config=scrape.yaml -remoteWrite.queues=1 -remoteWrite.bearerToken=TOKEN \
  -remoteWrite.url=http://127.0.0.1:9201/api/v1/write
