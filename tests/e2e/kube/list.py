"""A client of Kubernetes as people write it in Python: for each line on standard input it lists the
nodes and the namespaces, and prints their names, or what went wrong."""

import sys

from kubernetes import client, config

# KUBECONFIG, else the file in the home folder: what every program does that is not told.
config.load_kube_config()
api = client.CoreV1Api()
for _line in sys.stdin:
    try:
        items = api.list_node().items + api.list_namespace().items
        print(*[item.metadata.name for item in items], flush=True)
    except Exception as error:
        print("error:", str(error).replace("\n", " "), flush=True)
