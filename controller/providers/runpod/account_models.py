"""The documents of RunPod's account: registered SSH keys and balance."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from controller.providers.runpod.models import ApiModel, Sum


class SshKeys(ApiModel):
    keys: list[str]


class Me(ApiModel):
    balance: Annotated[Sum, Field(alias="clientBalance")]


class MeData(ApiModel):
    myself: Me


class BalanceReply(ApiModel):
    data: MeData
