/* SPDX-License-Identifier: MIT */
/*
 * devmgr: enumerates, tells init about each function, switches on what init
 * granted to a driver and everything else's bus mastering off.  Then it waits:
 * what it owns is configuration space, and when it is killed the next one finds
 * there what this one did.  devmgr(8), device(5).
 */
#include <tessera/runtime.h>
#include <tessera/stubs.h>
#include "pci.h"

static struct pci pci;

/* One call to init; its first word, or DEVICE_REFUSED if there is no answer. */
static uint64_t
tell(uint32_t label, const uint64_t *words, unsigned count)
{
	struct ipc_buffer *ipc = (struct ipc_buffer *)COMPONENT_IPC_VADDR;
	struct msg m = { .info = MSG_INFO(label, count, 0) };

	for (unsigned i = 0; i < count; i++) {
		if (i < MSG_WORDS_REG)
			m.words[i] = words[i];
		else
			ipc->words[i] = words[i];
	}
	if (sys_call(COMPONENT_SLOT_SUPERVISOR, &m, 0) != OK || msg_words(m.info) == 0)
		return DEVICE_REFUSED;
	return m.words[0];
}

static const char *
answer_name(uint64_t answer)
{
	switch (answer) {
	case DEVICE_GRANTED: return "granted";
	case DEVICE_NOBODYS: return "nobody's";
	default: return "refused";
	}
}

/* "0000:00:01.0 010802 1b36:0010 bar0 0x10000000+0x4000 msi-x 65: granted" */
static void
show(const struct pci_function *f, const char *what)
{
	char line[200];
	size_t n;

	n = format(line, sizeof line, "%04x:%02x:%02x.%u %06x %04x:%04x",
	    pci_host_of(&pci, f)->facts->segment, f->rid >> 8, f->rid >> 3 & 31u, f->rid & 7u,
	    f->class_code, f->vendor, f->device);
	if (f->bridge && f->secondary != 0)
		n += format(line + n, sizeof line - n, " buses %02x-%02x", f->secondary, f->subordinate);
	for (unsigned i = 0; i < DEVICE_BARS; i++)
		if (f->bar[i].assigned)
			n += format(line + n, sizeof line - n, " bar%u 0x%llx+0x%llx", i,
			    (unsigned long long)f->bar[i].base, (unsigned long long)f->bar[i].size);
	if (f->msix_vectors != 0)
		n += format(line + n, sizeof line - n, " msi-x %u", f->msix_vectors);
	log_line("%s: %s", line, what);
}

static void
offer(struct pci_function *f)
{
	union {
		struct device_found found;
		uint64_t words[sizeof(struct device_found) / 8];
	} m;
	uint64_t answer, where;

	if (!pci_describe(&pci, f, &m.found)) {
		show(f, f->broken ? "makes no sense, or found no place" : "bridge");
		return;
	}
	answer = tell(DEVICE_FOUND, m.words, sizeof m.words / sizeof *m.words);
	show(f, answer_name(answer));
	if (answer != DEVICE_GRANTED) {
		pci_switch_off(&pci, f);
		return;
	}
	pci_switch_on(&pci, f);
	where = (uint64_t)m.found.segment << 16 | f->rid;
	tell(DEVICE_ENABLED, &where, 1);
}

/* The next one in the order of host, bus, device and function, whatever order
 * they were found in: `index` of system.conf counts like that. */
static struct pci_function *
next_function(uint32_t *from)
{
	struct pci_function *next = NULL;
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; i < pci.count; i++) {
		struct pci_function *f = &pci.function[i];
		uint32_t key = (uint32_t)f->host << 16 | f->rid;

		if (key < *from || key >= least)
			continue;
		least = key;
		next = f;
	}
	*from = least + 1;
	return next;
}

int
component_main(const struct component_info *info)
{
	struct pci_function *f;
	uint32_t from = 0;

	pci_enumerate(&pci, (const struct device_hosts *)COMPONENT_HOSTS_VADDR,
	    (struct pci_keep *)info->keep);
	while ((f = next_function(&from)) != NULL)
		offer(f);
	if (pci.full)
		log_line(LOG_WARNING "more than %u functions: the others stay off", PCI_MAX_FUNCTIONS);
	tell(DEVICE_DONE, NULL, 0);
	for (;;)
		bell_wait(0);
}
