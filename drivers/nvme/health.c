/* SPDX-License-Identifier: MIT */
/*
 * What the device says about itself, for the log: health, events, statuses.
 */
#include <tessera/runtime.h>
#include <tessera/string.h>
#include "nvme.h"

/* SMART / Health Information, critical warning (NVMe 1.4 figure 194). */
static const char *const warnings[8] = {
	"spare blocks run low", "too hot or too cold", "reliability is degraded", "read only",
	"the backup of volatile memory failed", "persistent memory is unreliable", "warning 6", "warning 7",
};

/* The low 64 bits of 128 that count something: enough for hours and errors. */
static uint64_t
count(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

void
nvme_health_say(const struct nvme *n, const uint8_t *p)
{
	const char *name = n->facts.name;
	int celsius = (p[HEALTH_TEMPERATURE] | p[HEALTH_TEMPERATURE + 1] << 8) - 273;

	for (unsigned i = 0; i < 8; i++)
		if ((p[HEALTH_WARNING] >> i & 1) != 0)
			log_line(LOG_WARNING "%s: health: %s", name, warnings[i]);
	log_line("%s: health: %d C, spare %u%% (threshold %u%%), %u%% used, %lu h, %lu unsafe shutdowns, "
	    "%lu media errors", name, celsius, p[HEALTH_SPARE], p[HEALTH_SPARE_THRESHOLD], p[HEALTH_USED],
	    count(p + HEALTH_HOURS), count(p + HEALTH_UNSAFE), count(p + HEALTH_MEDIA_ERRORS));
}

/* Asynchronous events, NVMe 1.4 §5.2. */
void
nvme_event_say(const struct nvme *n, uint32_t event)
{
	static const char *const types[8] = { "error", "health", "notice", "type 3", "type 4", "type 5",
		"command set", "vendor" };

	log_line(LOG_WARNING "%s: event: %s %u", n->facts.name, types[event & 7], event >> 8 & 0xff);
}

static const char *
generic_text(unsigned code)
{
	switch (code) {
	case GENERIC_OPCODE: return "unknown command";
	case GENERIC_FIELD: return "wrong field";
	case 0x04: return "data transfer error";
	case 0x05: return "power loss";
	case 0x06: return "internal error";
	case GENERIC_ABORTED: return "aborted";
	case 0x08: return "its queue was deleted";
	case GENERIC_NAMESPACE: return "wrong namespace";
	case GENERIC_PROTECTED: return "write-protected";
	case GENERIC_RANGE: return "beyond the end";
	case 0x81: return "capacity exceeded";
	case 0x82: return "namespace not ready";
	default: return NULL;
	}
}

static const char *
media_text(unsigned code)
{
	switch (code) {
	case 0x80: return "write fault";
	case 0x81: return "unrecovered read error";
	case 0x85: return "compare failure";
	case 0x86: return "access denied";
	case 0x87: return "deallocated block";
	default: return NULL;
	}
}

void
nvme_status_text(char *to, size_t room, uint16_t status)
{
	unsigned type = STATUS_TYPE(status), code = STATUS_CODE(status);
	const char *text = type == TYPE_GENERIC ? generic_text(code) : type == TYPE_MEDIA ? media_text(code) : NULL;

	if (text != NULL)
		format(to, room, "%s", text);
	else
		format(to, room, "status %u/0x%02x", type, code);
}
