"""GraphQL writes. Each method is a field of `Mutation`; all of them need the account's key."""

from __future__ import annotations

from dataclasses import replace

from controller.providers.emulator.account import pod_update as edits
from controller.providers.emulator.account import resources
from controller.providers.emulator.account.pod_request import PodRequest
from controller.providers.emulator.catalog import GPUS
from controller.providers.emulator.errors import Problem, not_found
from controller.providers.emulator.graphql import inputs as graphql_inputs
from controller.providers.emulator.graphql import responses as graphql_views
from controller.providers.emulator.graphql.query import Info, Json, Queries, require_key
from controller.providers.emulator.records import Pod, Template

NO_SPOT = (
    "There are no longer any instances available with the request specifications. "
    "Please try again later."
)


class Mutations(Queries):
    """The root object of every operation: GraphQL gives both kinds the same one."""

    def _deploy(self, pod_request: PodRequest) -> Json:
        return self._shown(self._service.pods.create(pod_request))

    def _shown(self, pod: Pod) -> Json:
        with self._cloud.lock:
            return graphql_views.pod(self._cloud, pod)

    def _template(self, fields: Json) -> Template | None:
        template_id = fields.get("templateId")
        if not template_id:
            return None
        with self._cloud.lock:
            return self._cloud.template(template_id)

    def podFindAndDeployOnDemand(self, info: Info, input: Json | None = None) -> Json:
        require_key(info)
        fields = input or {}
        pod_request = graphql_inputs.pod_request(fields, self._template(fields))
        return self._deploy(graphql_inputs.with_gpu(pod_request, fields))

    def podRentInterruptable(self, info: Info, input: Json) -> Json:
        require_key(info)
        pod_request = graphql_inputs.pod_request(input, self._template(input))
        pod_request = replace(graphql_inputs.with_gpu(pod_request, input), interruptible=True)
        gpu = GPUS[pod_request.gpu or ""]
        least = (gpu.community or gpu.secure) * graphql_views.SPOT
        if input["bidPerGpu"] < least:
            raise Problem(400, NO_SPOT)
        return self._deploy(pod_request)

    def deployCpuPod(self, info: Info, input: Json) -> Json:
        require_key(info)
        pod_request = graphql_inputs.pod_request(input, self._template(input))
        return self._deploy(graphql_inputs.with_cpu(pod_request, input))

    def podStop(self, info: Info, input: Json) -> Json:
        require_key(info, own_pod=input["podId"])
        return self._shown(self._act(input["podId"], "stop"))

    def podResume(self, info: Info, input: Json) -> Json:
        require_key(info, own_pod=input["podId"])
        return self._shown(self._act(input["podId"], "start"))

    def podBidResume(self, info: Info, input: Json) -> Json:
        return self.podResume(info, input)

    def podTerminate(self, info: Info, input: Json) -> None:
        require_key(info, own_pod=input["podId"])
        self._act(input["podId"], "terminate")

    def _act(self, pod_id: str, action: str) -> Pod:
        """Carry out an action; requesting the current state is no error in GraphQL."""
        pod = self._service.pods.get(pod_id)
        already_done = {"stop": pod.status == "EXITED", "start": pod.active}
        return pod if already_done.get(action) else self._service.pods.act(pod_id, action)

    def podEditJob(self, info: Info, input: Json) -> Json:
        require_key(info)
        body = graphql_inputs.edits(input)
        with self._cloud.lock:
            pod = self._service.pods.get(input["podId"])
            self._service.pods.edited(pod, lambda: edits.apply(pod, body, None))
        return self._shown(pod)

    def updateUserSettings(self, info: Info, input: Json | None = None) -> Json:
        require_key(info)
        text = (input or {}).get("pubKey") or ""
        keys = [line.strip() for line in text.splitlines() if line.strip()]
        resources.set_keys(self._cloud, keys)
        return self.myself(info)

    def saveTemplate(self, info: Info, input: Json | None = None) -> Json:
        require_key(info)
        fields = graphql_inputs.template_fields(input or {})
        resources.check_registry(self._cloud, fields["registry"])
        existing = (input or {}).get("id")
        if not existing:
            return graphql_views.template(resources.add_template(self._cloud, **fields))
        with self._cloud.lock:
            template = self._cloud.state.templates.get(existing)
            if template is None:
                raise not_found("template")
            vars(template).update(fields)
            self._cloud.save()
            return graphql_views.template(template)

    def deleteTemplate(self, info: Info, templateName: str | None = None) -> None:
        require_key(info)
        with self._cloud.lock:
            templates = self._cloud.state.templates
            template_ids = [
                template.id for template in templates.values() if template.name == templateName
            ]
            if not template_ids:
                raise not_found("template")
            del templates[template_ids[0]]
            self._cloud.save()

    def secretCreate(self, info: Info, input: Json) -> Json:
        require_key(info)
        secret = resources.add_secret(
            self._cloud, input["name"], input["value"], input.get("description") or ""
        )
        return graphql_views.secret(secret)

    def secretDelete(self, info: Info, id: str) -> bool:
        require_key(info)
        resources.remove_secret(self._cloud, id)
        return True

    def saveRegistryAuth(self, info: Info, input: Json) -> Json:
        require_key(info)
        registry = resources.add_registry(
            self._cloud, input["name"], input["username"], input["password"]
        )
        return graphql_views.registry(registry)

    def updateRegistryAuth(self, info: Info, input: Json) -> Json:
        require_key(info)
        with self._cloud.lock:
            registry = self._cloud.state.registries.get(input["id"])
            if registry is None:
                raise Problem(404, "Registry auth not found")
            registry.username, registry.password = input["username"], input["password"]
            self._cloud.save()
            return graphql_views.registry(registry)

    def deleteRegistryAuth(self, info: Info, registryAuthId: str | None = None) -> None:
        require_key(info)
        resources.remove_registry(self._cloud, registryAuthId or "")

    def createNetworkVolume(self, info: Info, input: Json) -> Json:
        require_key(info)
        volume = resources.add_volume(
            self._cloud, input["name"], input["size"], input["dataCenterId"], None
        )
        return graphql_views.volume(volume)

    def updateNetworkVolume(self, info: Info, input: Json) -> Json:
        require_key(info)
        changed = resources.change_volume(
            self._cloud, input["id"], name=input.get("name"), size=input.get("size")
        )
        return graphql_views.volume(changed)

    def deleteNetworkVolume(self, info: Info, input: Json) -> None:
        require_key(info)
        resources.remove_volume(self._cloud, input["id"])
