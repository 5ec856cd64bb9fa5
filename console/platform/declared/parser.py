"""`platform.yaml` → Declaration, or every fault of it. Pure: the text and the environment are passed in."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from console.platform.declared import consistency, cutoffs, shape
from console.platform.declared.shape_faults import shape_faults
from console.platform.declared.source import Document, Findings, Path, resolved
from console.platform.declared.values import (
    AirflowDeclared,
    AutoscalingDeclared,
    BrokerDeclared,
    DatastoreDeclared,
    DeadManDeclared,
    Declaration,
    DeclarationError,
    Fault,
    FleetDeclared,
    HooksDeclared,
    HoursDeclared,
    PagerDeclared,
    RouteDeclared,
    SourceDeclared,
    StorageDeclared,
    TableDeclared,
    TaskDeclared,
)


def parse(text: str, environ: Mapping[str, str]) -> Declaration:
    """The declaration in `text`, with `${NAME}` taken from `environ`.

    Raises DeclarationError with all of its faults.
    """
    document = Document(text)
    if document.data is None and not document.faults:
        document.faults.append(
            Fault(
                "platform.yaml",
                "is empty",
                "Start from docs/platform.example.yaml: declare airflow and broker.",
            )
        )
    if document.data is None:
        raise DeclarationError(tuple(document.faults))
    by_path: dict[Path, Fault] = {}
    data = resolved(document.data, environ)
    if isinstance(data, dict):  # `sources:` with nothing below it declares none
        data = {key: value for key, value in data.items() if not (key in shape.SECTIONS and value is None)}
    platform: shape.Platform | None = None
    checks: list[Findings] = [consistency.references(document.data, environ)]
    try:
        platform = shape.Platform.model_validate(data)
    except ValidationError as error:
        checks.append(shape_faults(error, data))
    if isinstance(data, dict):
        checks += [
            consistency.urls(document.data, data),
            consistency.sign_in(data),
            consistency.region(data),
            consistency.consistency(data),
        ]
    for check in checks:
        for path, message, hint in check:
            by_path.setdefault(path, document.fault(path, message, hint))
    faults = [*document.faults, *by_path.values()]
    if faults or platform is None:
        raise DeclarationError(tuple(faults))
    return _declaration(platform)


def _declaration(platform: shape.Platform) -> Declaration:
    airflow, broker = platform.airflow, platform.broker
    return Declaration(
        name=platform.name,
        region=platform.region,
        airflow=AirflowDeclared(
            url=airflow.url.rstrip("/"),
            username=airflow.username,
            password=airflow.password,
            token=airflow.token,
            schedulers=airflow.schedulers,
            active_active=airflow.active_active,
        ),
        broker=BrokerDeclared(broker.url, broker.key_prefix, shape.seconds(broker.visibility_timeout)),
        warehouse_url=platform.warehouse.url if platform.warehouse else "",
        lease_url=platform.lease.url if platform.lease else "",
        terminations_queue=platform.terminations.queue if platform.terminations else "",
        fleets=tuple(
            FleetDeclared(
                **{
                    **fleet.model_dump(exclude={"autoscaling"}),
                    "concurrency": fleet.concurrency or fleet.vcpus,
                    "autoscaling": _autoscaling(fleet.autoscaling),
                }
            )
            for fleet in platform.fleets
        ),
        sources=tuple(SourceDeclared(**source.model_dump()) for source in platform.sources),
        tasks=tuple(
            TaskDeclared(
                name=task.name,
                source=task.source,
                identifier=task.identifier,
                heartbeat=task.heartbeat or "",
                heartbeat_at_warehouse=task.heartbeat_at_warehouse or "",
                batch_s=shape.seconds(task.batch),
                overlap=task.overlap,
                control_schema=task.control_schema,
            )
            for task in platform.tasks
        ),
        tables=tuple(
            TableDeclared(
                name=table.name,
                task=table.task,
                warehouse=table.warehouse,
                column=table.column,
                slo_s=shape.seconds(table.slo),
                also=table.also,
                allowed_lateness_s=shape.seconds(table.allowed_lateness),
                cutoffs=tuple(cutoffs.parse(text) for text in table.cutoffs),
            )
            for table in platform.tables
        ),
        datastores=tuple(DatastoreDeclared(**store.model_dump()) for store in platform.datastores),
        storage=tuple(_storage(storage) for storage in platform.storage),
        pagers=tuple(PagerDeclared(**pager.model_dump()) for pager in platform.pagers),
        routes=_routes(platform),
        dead_man=_dead_man(platform.dead_man),
        hooks=_hooks(platform.hooks),
    )


def _storage(declared: shape.Storage) -> StorageDeclared:
    return StorageDeclared(
        id=declared.id,
        bucket=declared.bucket,
        prefix=declared.prefix.strip("/"),
        folder=declared.folder,
        quiet_after_s=shape.seconds(declared.quiet_after) if declared.quiet_after else None,
        unread_after_s=shape.seconds(declared.unread_after) if declared.unread_after else None,
        swept_within_s=shape.seconds(declared.swept_within),
        readers_optional=declared.readers_optional,
    )


def _routes(platform: shape.Platform) -> tuple[RouteDeclared, ...]:
    """As declared; or, where there are pagers without routes, one that takes everything to them in their order."""
    routes = platform.routes
    if not routes and platform.pagers:
        routes = (shape.Route.model_validate({"pagers": tuple(pager.name for pager in platform.pagers)}),)
    return tuple(
        RouteDeclared(
            route.severities, route.targets, route.pagers, shape.seconds(route.repage) if route.repage else None
        )
        for route in routes
    )


def _dead_man(declared: shape.DeadMan | None) -> DeadManDeclared | None:
    if declared is None:
        return None
    return DeadManDeclared(declared.url, shape.seconds(declared.every), declared.allow_private)


def _hooks(declared: shape.Hooks | None) -> HooksDeclared:
    declared = declared or shape.Hooks()
    return HooksDeclared(
        pagerduty_secret=declared.pagerduty.secret if declared.pagerduty else "",
        alertmanager_token=declared.alertmanager.token if declared.alertmanager else "",
    )


def _autoscaling(declared: shape.Autoscaling | None) -> AutoscalingDeclared:
    """Without the section nobody asked for it: off."""
    if declared is None:
        return AutoscalingDeclared()
    return AutoscalingDeclared(
        mode=declared.mode,
        target_wait_s=shape.seconds(declared.target_wait),
        cooldown_s=shape.seconds(declared.cooldown),
        step=declared.step,
        boot_s=shape.seconds(declared.boot) if declared.boot else None,
        hours=tuple(
            HoursDeclared(
                shape.minutes(hours.begins),
                shape.minutes(hours.ends),
                hours.baseline,
                tuple(shape.WEEKDAYS.index(day) for day in hours.days),
            )
            for hours in declared.hours
        ),
        expected_work=declared.expected_work,
        scheduled_peaks=declared.scheduled_peaks,
    )
