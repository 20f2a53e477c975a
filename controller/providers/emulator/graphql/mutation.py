"""GraphQL writes. Each method is a field of `Mutation`; all of them need the account's key."""

from __future__ import annotations

from dataclasses import replace

from controller.providers.emulator.account import pod_update as edits
from controller.providers.emulator.account import resources as holdings
from controller.providers.emulator.account.pod_request import Draft
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

    def _deploy(self, draft: Draft) -> Json:
        return self._shown(self._service.pods.create(draft))

    def _shown(self, pod: Pod) -> Json:
        with self._cloud.lock:
            return graphql_views.pod(self._cloud, pod)

    def _template(self, told: Json) -> Template | None:
        wanted = told.get("templateId")
        if not wanted:
            return None
        with self._cloud.lock:
            return self._cloud.template(wanted)

    def podFindAndDeployOnDemand(self, info: Info, input: Json | None = None) -> Json:
        require_key(info)
        told = input or {}
        draft = graphql_inputs.draft(told, self._template(told))
        return self._deploy(graphql_inputs.with_gpu(draft, told))

    def podRentInterruptable(self, info: Info, input: Json) -> Json:
        require_key(info)
        draft = graphql_inputs.draft(input, self._template(input))
        draft = replace(graphql_inputs.with_gpu(draft, input), interruptible=True)
        gpu = GPUS[draft.gpu or ""]
        least = (gpu.community or gpu.secure) * graphql_views.SPOT
        if input["bidPerGpu"] < least:
            raise Problem(400, NO_SPOT)
        return self._deploy(draft)

    def deployCpuPod(self, info: Info, input: Json) -> Json:
        require_key(info)
        draft = graphql_inputs.draft(input, self._template(input))
        return self._deploy(graphql_inputs.with_cpu(draft, input))

    def podStop(self, info: Info, input: Json) -> Json:
        require_key(info, own=input["podId"])
        return self._shown(self._act(input["podId"], "stop"))

    def podResume(self, info: Info, input: Json) -> Json:
        require_key(info, own=input["podId"])
        return self._shown(self._act(input["podId"], "start"))

    def podBidResume(self, info: Info, input: Json) -> Json:
        return self.podResume(info, input)

    def podTerminate(self, info: Info, input: Json) -> None:
        require_key(info, own=input["podId"])
        self._act(input["podId"], "terminate")

    def _act(self, pod_id: str, action: str) -> Pod:
        """An action in the words GraphQL has for it; asking for what is so already is no error."""
        pod = self._service.pods.get(pod_id)
        settled = {"stop": pod.status == "EXITED", "start": pod.active}
        return pod if settled.get(action) else self._service.pods.act(pod_id, action)

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
        holdings.set_keys(self._cloud, keys)
        return self.myself(info)

    def saveTemplate(self, info: Info, input: Json | None = None) -> Json:
        require_key(info)
        fields = graphql_inputs.template_fields(input or {})
        holdings.check_registry(self._cloud, fields["registry"])
        existing = (input or {}).get("id")
        if not existing:
            return graphql_views.template(holdings.add_template(self._cloud, **fields))
        with self._cloud.lock:
            found = self._cloud.state.templates.get(existing)
            if found is None:
                raise not_found("template")
            vars(found).update(fields)
            self._cloud.save()
            return graphql_views.template(found)

    def deleteTemplate(self, info: Info, templateName: str | None = None) -> None:
        require_key(info)
        with self._cloud.lock:
            templates = self._cloud.state.templates
            found = [
                template.id for template in templates.values() if template.name == templateName
            ]
            if not found:
                raise not_found("template")
            del templates[found[0]]
            self._cloud.save()

    def secretCreate(self, info: Info, input: Json) -> Json:
        require_key(info)
        made = holdings.add_secret(
            self._cloud, input["name"], input["value"], input.get("description") or ""
        )
        return graphql_views.secret(made)

    def secretDelete(self, info: Info, id: str) -> bool:
        require_key(info)
        holdings.remove_secret(self._cloud, id)
        return True

    def saveRegistryAuth(self, info: Info, input: Json) -> Json:
        require_key(info)
        made = holdings.add_registry(
            self._cloud, input["name"], input["username"], input["password"]
        )
        return graphql_views.registry(made)

    def updateRegistryAuth(self, info: Info, input: Json) -> Json:
        require_key(info)
        with self._cloud.lock:
            found = self._cloud.state.registries.get(input["id"])
            if found is None:
                raise Problem(404, "Registry auth not found")
            found.username, found.password = input["username"], input["password"]
            self._cloud.save()
            return graphql_views.registry(found)

    def deleteRegistryAuth(self, info: Info, registryAuthId: str | None = None) -> None:
        require_key(info)
        holdings.remove_registry(self._cloud, registryAuthId or "")

    def createNetworkVolume(self, info: Info, input: Json) -> Json:
        require_key(info)
        made = holdings.add_volume(
            self._cloud, input["name"], input["size"], input["dataCenterId"], None
        )
        return graphql_views.volume(made)

    def updateNetworkVolume(self, info: Info, input: Json) -> Json:
        require_key(info)
        changed = holdings.change_volume(
            self._cloud, input["id"], name=input.get("name"), size=input.get("size")
        )
        return graphql_views.volume(changed)

    def deleteNetworkVolume(self, info: Info, input: Json) -> None:
        require_key(info)
        holdings.remove_volume(self._cloud, input["id"])
