/* SPDX-License-Identifier: MIT */
/*
 * system.conf as init understands it.  The parser is pure: text in, one
 * struct conf or one error with its line out; it allocates nothing and also
 * compiles for the build host.  The manual is system.conf(5).
 */
#ifndef INIT_CONF_H
#define INIT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONF_MAX_COMPONENTS = 24,
	CONF_MAX_CHANNELS = 64,
	CONF_MAX_IMAGES = 4,
	CONF_MAX_KILLS = 10,
	CONF_MAX_CPUS = 16,
	CONF_MAX_LENDS = 40,
	CONF_MAX_PCI_IDS = 4,
	CONF_PART = 40,
	CONF_NAME = 16,			/* with the NUL */
	CONF_MEMBER = 32,
	CONF_ARGS = 256,
	CONF_HOSTNAME = 64,
};

enum { CONF_INIT = -1 };		/* init itself as an end of a channel */

enum conf_restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct conf_image {
	char member[CONF_MEMBER];	/* of the bundle */
	uint32_t uart;			/* only with a UART of this kind; 0: always */
};

/* Which PCI function a driver wants; what was not said matches everything. */
struct conf_pci {
	bool wanted;
	uint32_t class_code, class_mask;	/* 0xCCSSPP: a prefix */
	bool has_vendor;
	uint16_t vendor;
	uint16_t device[CONF_MAX_PCI_IDS];
	unsigned device_count;
	uint32_t index;			/* the how manyth that matches, from 0 */
};

struct conf_component {
	char name[CONF_NAME];
	unsigned line;
	bool world;			/* a personality */
	struct conf_image image[CONF_MAX_IMAGES];
	unsigned image_count;
	char archive[CONF_MEMBER];	/* world: root archive, "" none */
	uint64_t memory;		/* bytes, a power of two; 0: the rest */
	bool memory_rest;
	uint32_t priority;
	uint32_t cpus;			/* bit per CPU; worlds: ~0 means all that run */
	uint64_t budget_ns;		/* 0: no limit */
	uint64_t period_ns;
	bool uart;			/* device uart */
	bool pci_config;		/* device pci-config */
	struct conf_pci pci;		/* device pci */
	uint64_t dma;			/* bytes, a power of two; 0: none */
	unsigned window;		/* of its lent memory, 1..7; 0: it lends none */
	uint64_t health_ns;		/* a world, on trial: has to report health so soon; 0: nobody waits */
	bool power;			/* may switch the machine off and reset it */
	bool kernel_log;		/* may read the kernel's log */
	bool memory_usage;		/* may read how much memory each component takes */
	bool capabilities;		/* may read who may touch what */
	unsigned kill_count;
	char kill_name[CONF_MAX_KILLS][CONF_NAME];
	int kill[CONF_MAX_KILLS];	/* index of the component */
	enum conf_restart restart;
	uint64_t delay_ns;
	uint32_t limit;			/* restarts within limit_ns; 0: no limit */
	uint64_t limit_ns;
	char args[CONF_ARGS];
	char hostname[CONF_HOSTNAME];
};

struct conf_channel {
	char name[CONF_NAME];
	unsigned line;
	uint32_t type;			/* enum channel_type */
	uint32_t size;			/* bytes, a power of two; 0 for call */
	char client_name[CONF_NAME];
	char server_name[CONF_NAME];
	int client;			/* index of the component, or CONF_INIT */
	int server;
	char part[CONF_PART];		/* block; "by NAME": what that component says */
	uint32_t windows;		/* block: set of windows that requests may name */
};

/* Memory of one component or world, within the reach of another one's device. */
struct conf_lend {
	unsigned line;
	char from_name[CONF_NAME], to_name[CONF_NAME];
	int from, to;			/* index of the component */
};

struct conf {
	unsigned component_count;
	unsigned channel_count;
	unsigned lend_count;
	struct conf_component component[CONF_MAX_COMPONENTS];
	struct conf_channel channel[CONF_MAX_CHANNELS];
	struct conf_lend lend[CONF_MAX_LENDS];
};

struct conf_error {
	unsigned line;			/* 0: the file as a whole */
	char reason[120];
};

/*
 * Parse and check text[0..size).  false: error says where and why, and conf
 * must not be used.  What depends on the machine (CPUs, memory, members of the
 * bundle) is checked when the components are built.
 */
bool conf_parse(struct conf *conf, const char *text, size_t size, struct conf_error *error);

/* Does `from` lend its memory to `to`'s device? */
bool conf_lends(const struct conf *conf, int from, int to);

#endif
