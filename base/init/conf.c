/* SPDX-License-Identifier: MIT */
/*
 * The parser of system.conf: lines of words.  `component NAME` and `world NAME`
 * open a block, the lines after it describe it; `channel` and `lend` lines
 * stand alone.  First every line is read (parse_*), then what lines say about each other is
 * checked (check_*).
 */
#include <tessera/string.h>
#include <proto/block.h>
#include <proto/component.h>
#include <proto/fs.h>
#include <proto/world.h>
#include <tessera/bootinfo.h>
#include "conf.h"

enum { MAX_WORDS = 16, MAX_WORD = 64 };

struct line {
	unsigned number;
	unsigned count;
	char word[MAX_WORDS][MAX_WORD];
	const char *rest;		/* of the line, after the first word */
	size_t rest_size;
};

struct parser {
	struct conf *conf;
	struct conf_error *error;
	struct conf_component *open;	/* the block that lines belong to */
	struct line line;
};

/* Append to a reason, which is always terminated and cut if need be. */
static void
reason_add(struct conf_error *e, const char *text)
{
	size_t at = strlen(e->reason), n = strlen(text);

	if (n > sizeof e->reason - 1 - at)
		n = sizeof e->reason - 1 - at;
	memcpy(e->reason + at, text, n);
	e->reason[at + n] = '\0';
}

/* Always false, so that a check can return it. */
static bool
fail_at(struct conf_error *e, unsigned line, const char *what, const char *word, const char *why)
{
	e->line = line;
	e->reason[0] = '\0';
	reason_add(e, what);
	if (word != NULL) {
		reason_add(e, " \"");
		reason_add(e, word);
		reason_add(e, "\"");
	}
	if (why != NULL) {
		reason_add(e, ": ");
		reason_add(e, why);
	}
	return false;
}

static bool
fail(struct parser *p, const char *what, const char *word, const char *why)
{
	return fail_at(p->error, p->line.number, what, word, why);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* A name goes into crash reports and terminal output: letters only. */
static bool
is_name(const char *s, size_t room)
{
	if (*s == '\0' || strlen(s) >= room)
		return false;
	for (; *s != '\0'; s++) {
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9');
		if (!alnum && *s != '.' && *s != '-' && *s != '_')
			return false;
	}
	return true;
}

static bool
copy_name(struct parser *p, char *to, size_t room, const char *what, const char *word)
{
	if (!is_name(word, room))
		return fail(p, what, word, "not a name of letters, digits, '.', '-', '_' that fits");
	memcpy(to, word, strlen(word) + 1);
	return true;
}

/* ---- numbers ---------------------------------------------------------- */

/* Decimal digits; *end is left behind them.  false: none, or too large. */
static bool
read_number(const char *s, const char **end, uint64_t *value)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*end = s;
	*value = v;
	return true;
}

static bool
parse_number(const char *s, uint64_t max, uint32_t *value)
{
	const char *end;
	uint64_t v;

	if (!read_number(s, &end, &v) || *end != '\0' || v > max)
		return false;
	*value = (uint32_t)v;
	return true;
}

/* Up to `digits` hexadecimal digits until the end or a comma; how many: *used. */
static bool
parse_hex(const char *s, unsigned digits, unsigned *used, uint32_t *value)
{
	unsigned n = 0;
	uint32_t v = 0;

	for (; s[n] != '\0' && s[n] != ','; n++) {
		char c = s[n];

		if (n == digits)
			return false;
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	*used = n;
	*value = v;
	return n != 0;
}

static bool
parse_size(const char *s, uint64_t *bytes)
{
	const char *end;
	unsigned shift = 0;

	if (!read_number(s, &end, bytes))
		return false;
	if (*end == 'K')
		shift = 10;
	else if (*end == 'M')
		shift = 20;
	else if (*end == 'G')
		shift = 30;
	if (shift != 0)
		end++;
	if (*end != '\0' || *bytes > (UINT64_MAX >> shift))
		return false;
	*bytes <<= shift;
	return *bytes != 0 && (*bytes & (*bytes - 1)) == 0;
}

/* A time with its unit.  An hour is more than any of them can mean. */
static bool
parse_time(const char *s, uint64_t *ns)
{
	const char *end;
	uint64_t unit;

	if (!read_number(s, &end, ns))
		return false;
	if (strcmp(end, "us") == 0)
		unit = 1000;
	else if (strcmp(end, "ms") == 0)
		unit = 1000000;
	else if (strcmp(end, "s") == 0)
		unit = 1000000000;
	else
		return false;
	if (*ns == 0 || *ns > 3600000000000 / unit)
		return false;
	*ns *= unit;
	return true;
}

/* "A/B": split in place. */
static char *
split_at_slash(char *s)
{
	char *slash = strchr(s, '/');

	if (slash == NULL)
		return NULL;
	*slash = '\0';
	return slash + 1;
}

/* ---- the lines of a block --------------------------------------------- */

static bool
word_image(struct parser *p, struct conf_component *c)
{
	struct line *l = &p->line;
	struct conf_image *image = &c->image[c->image_count];

	if (c->image_count == CONF_MAX_IMAGES)
		return fail(p, "image", l->word[1], "too many images in one block");
	if (l->count != 2 && l->count != 4)
		return fail(p, "image", NULL, "wants: image MEMBER [if uart=KIND]");
	if (!copy_name(p, image->member, sizeof image->member, "image", l->word[1]))
		return false;
	image->uart = BOOT_UART_NONE;
	if (l->count == 4) {
		if (strcmp(l->word[2], "if") != 0)
			return fail(p, "unknown word", l->word[2], NULL);
		if (strcmp(l->word[3], "uart=pl011") == 0)
			image->uart = BOOT_UART_PL011;
		else if (strcmp(l->word[3], "uart=16550") == 0)
			image->uart = BOOT_UART_16550;
		else
			return fail(p, "unknown condition", l->word[3], "uart=pl011 or uart=16550");
	}
	c->image_count++;
	return true;
}

static bool
word_archive(struct parser *p, struct conf_component *c)
{
	if (!c->world)
		return fail(p, "archive", NULL, "only a world has one");
	if (p->line.count != 2)
		return fail(p, "archive", NULL, "wants: archive MEMBER");
	return copy_name(p, c->archive, sizeof c->archive, "archive", p->line.word[1]);
}

static bool
word_memory(struct parser *p, struct conf_component *c)
{
	const char *size = p->line.word[1];

	if (p->line.count != 2)
		return fail(p, "memory", NULL, "wants: memory SIZE, or in a world: memory rest");
	if (c->memory != 0 || c->memory_rest)
		return fail(p, "memory", size, "said twice");
	if (strcmp(size, "rest") == 0) {
		if (!c->world)
			return fail(p, "memory rest", NULL, "only a world can take it");
		c->memory_rest = true;
		return true;
	}
	if (!parse_size(size, &c->memory))
		return fail(p, "memory", size, "not a power of two in bytes, K, M or G");
	if (c->memory < (c->world ? 16u << 20 : 128u << 10) || c->memory > (uint64_t)1 << 36)
		return fail(p, "memory", size, "from 128K (a world: 16M) to 64G");
	return true;
}

static bool
word_priority(struct parser *p, struct conf_component *c)
{
	/* 254 is left free below init, so that init always gets its turn. */
	if (p->line.count != 2 || !parse_number(p->line.word[1], 253, &c->priority) ||
	    c->priority == 0)
		return fail(p, "priority", p->line.word[1], "from 1 to 253, 253 the most urgent");
	return true;
}

static bool
word_cpu(struct parser *p, struct conf_component *c)
{
	struct line *l = &p->line;
	uint32_t cpu;

	c->cpus = 0;
	if (l->count == 2 && strcmp(l->word[1], "all") == 0) {
		if (!c->world)
			return fail(p, "cpu all", NULL, "a component has one thread, and so one CPU");
		c->cpus = UINT32_MAX;
		return true;
	}
	for (unsigned i = 1; i < l->count; i++) {
		if (!parse_number(l->word[i], CONF_MAX_CPUS - 1, &cpu))
			return fail(p, "cpu", l->word[i], "a number from 0 to 15, or all");
		c->cpus |= (uint32_t)1 << cpu;
	}
	if (l->count < 2 || (!c->world && l->count != 2))
		return fail(p, "cpu", NULL, "wants: cpu NUMBER, or in a world several, or all");
	return true;
}

static bool
word_time(struct parser *p, struct conf_component *c)
{
	char *budget = p->line.word[1], *period = split_at_slash(budget);

	if (p->line.count != 2 || period == NULL)
		return fail(p, "time", NULL, "wants: time BUDGET/PERIOD, as in time 2ms/10ms");
	if (!parse_time(budget, &c->budget_ns))
		return fail(p, "time", budget, "a number with us, ms or s, up to an hour");
	if (!parse_time(period, &c->period_ns))
		return fail(p, "time", period, "a number with us, ms or s, up to an hour");
	if (c->budget_ns > c->period_ns)
		return fail(p, "time", budget, "more than its period");
	return true;
}

/* class=CC, CCSS or CCSSPP */
static bool
parse_class(struct conf_pci *pci, const char *s)
{
	unsigned n;

	if (!parse_hex(s, 6, &n, &pci->class_code) || s[n] != '\0' || n % 2 != 0)
		return false;
	pci->class_code <<= 4 * (6 - n);
	pci->class_mask = 0xffffff & ~(((uint32_t)1 << 4 * (6 - n)) - 1);
	return true;
}

/* device=ID,ID… */
static bool
parse_ids(struct conf_pci *pci, const char *s)
{
	uint32_t id;
	unsigned n;

	for (;;) {
		if (pci->device_count == CONF_MAX_PCI_IDS || !parse_hex(s, 4, &n, &id))
			return false;
		pci->device[pci->device_count++] = (uint16_t)id;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
}

/* What follows `prefix` in a word, or a null pointer. */
static const char *
after(const char *word, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(word, prefix, n) == 0 ? word + n : NULL;
}

static bool
parse_pci_word(struct parser *p, struct conf_pci *pci, const char *word)
{
	const char *value;
	uint32_t id;
	unsigned n;

	if ((value = after(word, "class=")) != NULL && pci->class_mask == 0) {
		if (!parse_class(pci, value))
			return fail(p, "device pci", word, "two, four or six digits, 0 to 9, a to f");
	} else if ((value = after(word, "vendor=")) != NULL && !pci->has_vendor) {
		if (!parse_hex(value, 4, &n, &id) || value[n] != '\0')
			return fail(p, "device pci", word, "up to four digits, 0 to 9, a to f");
		pci->vendor = (uint16_t)id;
		pci->has_vendor = true;
	} else if ((value = after(word, "device=")) != NULL && pci->device_count == 0) {
		if (!parse_ids(pci, value))
			return fail(p, "device pci", word, "up to four numbers of four digits, 0 to f");
	} else {
		return fail(p, "device pci", word, "class=, vendor=, device=, each once, index N");
	}
	return true;
}

/* device pci [class=CODE] [vendor=ID] [device=ID,…] [index N] */
static bool
parse_pci(struct parser *p, struct conf_component *c)
{
	struct line *l = &p->line;
	struct conf_pci *pci = &c->pci;

	if (pci->wanted)
		return fail(p, "device pci", NULL, "a driver has one function");
	pci->wanted = true;
	for (unsigned i = 2; i < l->count; i++) {
		if (strcmp(l->word[i], "index") != 0) {
			if (!parse_pci_word(p, pci, l->word[i]))
				return false;
		} else if (i + 2 != l->count || !parse_number(l->word[++i], 63, &pci->index)) {
			return fail(p, "device pci index", l->word[l->count - 1],
			    "a number up to 63 at the end of the line");
		}
	}
	if (pci->device_count != 0 && !pci->has_vendor)
		return fail(p, "device pci", NULL, "device= means nothing without vendor=");
	if (pci->class_mask == 0 && !pci->has_vendor)
		return fail(p, "device pci", NULL, "wants class= or vendor=, or it is any device");
	return true;
}

static bool
word_device(struct parser *p, struct conf_component *c)
{
	struct line *l = &p->line;

	if (c->world)
		return fail(p, "device", l->word[1], "a world has channels, not devices");
	if (l->count >= 3 && strcmp(l->word[1], "pci") == 0)
		return parse_pci(p, c);
	if (l->count == 2 && strcmp(l->word[1], "uart") == 0)
		c->uart = true;
	else if (l->count == 2 && strcmp(l->word[1], "pci-config") == 0)
		c->pci_config = true;
	else
		return fail(p, "device", l->word[1], "uart, pci-config, or pci with what to match");
	return true;
}

static bool
word_dma(struct parser *p, struct conf_component *c)
{
	const char *size = p->line.word[1];

	if (c->world)
		return fail(p, "dma", NULL, "a world lends its memory instead");
	if (p->line.count != 2 || !parse_size(size, &c->dma) || c->dma < 4096 || c->dma > 1 << 26)
		return fail(p, "dma", size, "a power of two from 4K to 64M");
	return true;
}

static bool
word_allow(struct parser *p, struct conf_component *c)
{
	struct line *l = &p->line;

	if (l->count == 3 && strcmp(l->word[1], "kill") == 0) {
		if (c->kill_count == CONF_MAX_KILLS)
			return fail(p, "allow kill", l->word[2], "too many in one block");
		return copy_name(p, c->kill_name[c->kill_count++], CONF_NAME, "allow kill",
		    l->word[2]);
	}
	if (l->count == 2 && strcmp(l->word[1], "power") == 0)
		c->power = true;
	else if (l->count == 2 && strcmp(l->word[1], "kernel-log") == 0 && !c->world)
		c->kernel_log = true;
	else if (l->count == 2 && strcmp(l->word[1], "memory-usage") == 0 && c->world)
		c->memory_usage = true;
	else if (l->count == 2 && strcmp(l->word[1], "capabilities") == 0 && c->world)
		c->capabilities = true;
	else
		return fail(p, "allow", l->word[1], "power, kernel-log (no world), "
		    "memory-usage, capabilities (a world), or kill NAME");
	return true;
}

/* health TIME, of a world */
static bool
word_health(struct parser *p, struct conf_component *c)
{
	struct line *l = &p->line;

	if (!c->world)
		return fail(p, "health", NULL, "only a world can report it");
	if (l->count != 2 || !parse_time(l->word[1], &c->health_ns))
		return fail(p, "health", l->word[1], "a number with us, ms or s, up to an hour");
	return true;
}

/* restart always|on-failure|never [delay TIME] [limit COUNT/TIME] */
static bool
word_restart(struct parser *p, struct conf_component *c)
{
	struct line *l = &p->line;
	char *per;

	if (l->count >= 2 && strcmp(l->word[1], "always") == 0)
		c->restart = RESTART_ALWAYS;
	else if (l->count >= 2 && strcmp(l->word[1], "on-failure") == 0)
		c->restart = RESTART_ON_FAILURE;
	else if (l->count == 2 && strcmp(l->word[1], "never") == 0)
		c->restart = RESTART_NEVER;
	else
		return fail(p, "restart", l->word[1], "always, on-failure or never");
	for (unsigned i = 2; i < l->count; i += 2) {
		if (i + 1 == l->count)
			return fail(p, "restart", l->word[i], "has no value");
		if (strcmp(l->word[i], "delay") == 0) {
			if (!parse_time(l->word[i + 1], &c->delay_ns))
				return fail(p, "restart delay", l->word[i + 1], "not a time");
		} else if (strcmp(l->word[i], "limit") == 0) {
			per = split_at_slash(l->word[i + 1]);
			if (per == NULL || !parse_number(l->word[i + 1], 1000, &c->limit) ||
			    c->limit == 0 || !parse_time(per, &c->limit_ns))
				return fail(p, "restart limit", l->word[i + 1],
				    "wants COUNT/TIME, as in 5/60s");
		} else {
			return fail(p, "restart", l->word[i], "delay TIME or limit COUNT/TIME");
		}
	}
	return true;
}

static bool
word_args(struct parser *p, struct conf_component *c)
{
	if (p->line.rest_size >= sizeof c->args)
		return fail(p, "args", NULL, "longer than 255 bytes");
	memcpy(c->args, p->line.rest, p->line.rest_size);
	c->args[p->line.rest_size] = '\0';
	return true;
}

static bool
word_hostname(struct parser *p, struct conf_component *c)
{
	if (!c->world || p->line.count != 2)
		return fail(p, "hostname", NULL, "wants, in a world: hostname NAME");
	return copy_name(p, c->hostname, sizeof c->hostname, "hostname", p->line.word[1]);
}

static const struct {
	const char *word;
	bool (*parse)(struct parser *, struct conf_component *);
} block_words[] = {
	{ "image", word_image },
	{ "archive", word_archive },
	{ "memory", word_memory },
	{ "priority", word_priority },
	{ "cpu", word_cpu },
	{ "time", word_time },
	{ "device", word_device },
	{ "dma", word_dma },
	{ "allow", word_allow },
	{ "health", word_health },
	{ "restart", word_restart },
	{ "args", word_args },
	{ "hostname", word_hostname },
};

/* ---- lines that open a block, and channels ---------------------------- */

static bool
parse_component(struct parser *p, bool world)
{
	struct conf_component *c;

	p->open = NULL;
	if (p->conf->component_count == CONF_MAX_COMPONENTS)
		return fail(p, p->line.word[0], p->line.word[1], "too many components");
	c = &p->conf->component[p->conf->component_count];
	memset(c, 0, sizeof *c);
	if (p->line.count != 2)
		return fail(p, p->line.word[0], NULL, "wants one name");
	if (!copy_name(p, c->name, sizeof c->name, p->line.word[0], p->line.word[1]))
		return false;
	c->line = p->line.number;
	c->world = world;
	c->cpus = world ? UINT32_MAX : 1;
	c->restart = RESTART_NEVER;
	c->delay_ns = 10000000;
	memcpy(c->hostname, "tessera", sizeof "tessera");
	p->conf->component_count++;
	p->open = c;
	return true;
}

static const struct {
	const char *word;
	uint32_t type;			/* enum channel_type */
	uint32_t size;			/* the only one; 0: from 8K to 1M */
} channel_types[] = {
	{ "stream", CHANNEL_STREAM, 0 },
	{ "log", CHANNEL_LOG, 0 },
	{ "call", CHANNEL_CALL, 0 },
	{ "block", CHANNEL_BLOCK, BLOCK_CHANNEL_BYTES },
	{ "fs", CHANNEL_FS, FS_CHANNEL_BYTES },
};
enum { CHANNEL_TYPES = sizeof channel_types / sizeof *channel_types };

/* "disk", "root", a GUID or a name of the GPT; or who says the bounds: "by NAME". */
static bool
parse_part(struct parser *p, struct conf_channel *c)
{
	struct line *l = &p->line;
	bool by = l->count == 9 && strcmp(l->word[7], "by") == 0;

	if ((l->count != 8 && !by) || strcmp(l->word[6], "part") != 0)
		return fail(p, "channel", c->name, "wants, as a block channel: part disk|root|GUID|NAME|by NAME");
	if (by) {
		memcpy(c->part, "by ", 3);
		return copy_name(p, c->part + 3, CONF_NAME, "part by", l->word[8]);
	}
	return copy_name(p, c->part, sizeof c->part, "part", l->word[7]);
}

static bool
parse_channel_size(struct parser *p, struct conf_channel *c, uint32_t only)
{
	const char *word = p->line.word[5];
	uint64_t size;

	if (!parse_size(word, &size) || size < 8192 || size > 1 << 20)
		return fail(p, "channel size", word, "a power of two from 8K to 1M");
	if (only != 0 && size != only)
		return fail(p, "channel size", word,
		    c->type == CHANNEL_BLOCK ? "a block channel has 256K" : "an fs channel has 1M");
	c->size = (uint32_t)size;
	return true;
}

/* channel NAME TYPE CLIENT SERVER [SIZE [part PART]] */
static bool
parse_channel(struct parser *p)
{
	struct line *l = &p->line;
	struct conf_channel *c;
	unsigned type = 0;

	p->open = NULL;
	if (p->conf->channel_count == CONF_MAX_CHANNELS)
		return fail(p, "channel", l->word[1], "too many channels");
	c = &p->conf->channel[p->conf->channel_count];
	memset(c, 0, sizeof *c);
	if (l->count < 5)
		return fail(p, "channel", NULL, "wants: channel NAME TYPE CLIENT SERVER [SIZE]");
	while (type < CHANNEL_TYPES && strcmp(l->word[2], channel_types[type].word) != 0)
		type++;
	if (type == CHANNEL_TYPES)
		return fail(p, "channel type", l->word[2], "stream, log, call, block or fs");
	c->line = l->number;
	c->type = channel_types[type].type;
	if (!copy_name(p, c->name, sizeof c->name, "channel", l->word[1]) ||
	    !copy_name(p, c->client_name, sizeof c->client_name, "client", l->word[3]) ||
	    !copy_name(p, c->server_name, sizeof c->server_name, "server", l->word[4]))
		return false;
	if ((l->count == 5) != (c->type == CHANNEL_CALL) ||
	    (l->count > 6 && c->type != CHANNEL_BLOCK))
		return fail(p, "channel", c->name,
		    "wants: channel NAME TYPE CLIENT SERVER SIZE; call has no size");
	if (l->count > 5 && !parse_channel_size(p, c, channel_types[type].size))
		return false;
	if (c->type == CHANNEL_BLOCK && !parse_part(p, c))
		return false;
	p->conf->channel_count++;
	return true;
}

/* lend FROM TO */
static bool
parse_lend(struct parser *p)
{
	struct line *l = &p->line;
	struct conf_lend *lend;

	p->open = NULL;
	if (l->count != 3)
		return fail(p, "lend", NULL, "wants: lend FROM TO");
	if (p->conf->lend_count == CONF_MAX_LENDS)
		return fail(p, "lend", l->word[1], "too many of them");
	lend = &p->conf->lend[p->conf->lend_count];
	memset(lend, 0, sizeof *lend);
	lend->line = l->number;
	if (!copy_name(p, lend->from_name, sizeof lend->from_name, "lend", l->word[1]) ||
	    !copy_name(p, lend->to_name, sizeof lend->to_name, "lend", l->word[2]))
		return false;
	p->conf->lend_count++;
	return true;
}

static bool
parse_line(struct parser *p)
{
	const char *word = p->line.word[0];

	if (strcmp(word, "component") == 0)
		return parse_component(p, false);
	if (strcmp(word, "world") == 0)
		return parse_component(p, true);
	if (strcmp(word, "channel") == 0)
		return parse_channel(p);
	if (strcmp(word, "lend") == 0)
		return parse_lend(p);
	for (size_t i = 0; i < sizeof block_words / sizeof *block_words; i++) {
		if (strcmp(word, block_words[i].word) != 0)
			continue;
		if (p->open == NULL)
			return fail(p, "word", word, "outside of a component or world");
		return block_words[i].parse(p, p->open);
	}
	return fail(p, "unknown word", word, NULL);
}

/* Split one line (without its newline) into words; '#' ends it. */
static bool
split_line(struct parser *p, const char *s, size_t n)
{
	struct line *l = &p->line;
	size_t i = 0, start;

	l->count = 0;
	memset(l->word, 0, sizeof l->word);
	for (size_t k = 0; k < n; k++) {
		if (s[k] == '#') {
			n = k;
			break;
		}
		if ((unsigned char)s[k] < ' ' && s[k] != '\t' && s[k] != '\r')
			return fail(p, "control character", NULL, "this is not text");
	}
	while (n > 0 && is_space(s[n - 1]))
		n--;
	l->rest = s + n;
	l->rest_size = 0;
	for (;;) {
		while (i < n && is_space(s[i]))
			i++;
		if (i == n)
			return true;
		if (l->count == 1) {
			l->rest = s + i;
			l->rest_size = n - i;
		}
		start = i;
		while (i < n && !is_space(s[i]))
			i++;
		/* args takes its line as it is, however many words that are */
		if (l->count > 0 && strcmp(l->word[0], "args") == 0) {
			if (l->count > 1)
				continue;
		} else if (l->count == MAX_WORDS) {
			return fail(p, "line", NULL, "more than 16 words");
		} else if (i - start >= MAX_WORD) {
			return fail(p, "line", NULL, "a word is longer than 63 bytes");
		}
		if (i - start < MAX_WORD)
			memcpy(l->word[l->count], s + start, i - start);
		l->count++;
	}
}

static bool
parse_text(struct parser *p, const char *text, size_t size)
{
	size_t at = 0, end;

	p->line.number = 0;
	while (at < size) {
		p->line.number++;
		for (end = at; end < size && text[end] != '\n'; end++)
			;
		if (!split_line(p, text + at, end - at))
			return false;
		if (p->line.count != 0 && !parse_line(p))
			return false;
		at = end + 1;
	}
	return true;
}

/* ---- what lines say about each other ----------------------------------- */

static int
component_find(const struct conf *conf, const char *name)
{
	for (unsigned i = 0; i < conf->component_count; i++)
		if (strcmp(conf->component[i].name, name) == 0)
			return (int)i;
	return -2;
}

static bool
check_component(struct conf *conf, unsigned index, struct conf_error *e)
{
	struct conf_component *c = &conf->component[index];

	if (strcmp(c->name, "init") == 0 || component_find(conf, c->name) != (int)index)
		return fail_at(e, c->line, "name", c->name, "taken already");
	if (c->image_count == 0)
		return fail_at(e, c->line, c->name, NULL, "has no image");
	if (c->memory == 0 && !c->memory_rest)
		return fail_at(e, c->line, c->name, NULL, "has no memory budget");
	if (c->priority == 0)
		return fail_at(e, c->line, c->name, NULL, "has no priority");
	for (unsigned k = 0; k < c->kill_count; k++) {
		c->kill[k] = component_find(conf, c->kill_name[k]);
		if (c->kill[k] < 0)
			return fail_at(e, c->line, "allow kill: no component is named",
			    c->kill_name[k], NULL);
	}
	for (unsigned i = 0; i < index; i++) {
		if (c->memory_rest && conf->component[i].memory_rest)
			return fail_at(e, c->line, c->name, NULL, "memory rest was given away already");
		if (c->uart && conf->component[i].uart)
			return fail_at(e, c->line, c->name, NULL, "device uart was given away already");
		if (c->pci_config && conf->component[i].pci_config)
			return fail_at(e, c->line, c->name, NULL,
			    "device pci-config was given away already");
	}
	if (c->dma != 0 && !c->pci.wanted)
		return fail_at(e, c->line, c->name, NULL, "dma without device pci");
	if (c->dma != 0 && c->dma > c->memory / 2)
		return fail_at(e, c->line, c->name, NULL, "dma is more than half of its memory");
	return true;
}

bool
conf_lends(const struct conf *conf, int from, int to)
{
	for (unsigned i = 0; i < conf->lend_count; i++)
		if (conf->lend[i].from == from && conf->lend[i].to == to)
			return true;
	return false;
}

/* Lenders are numbered in the order in which they first appear. */
static bool
check_lends(struct conf *conf, struct conf_error *e)
{
	unsigned windows = 0, lends[CONF_MAX_COMPONENTS] = { 0 };

	for (unsigned i = 0; i < conf->lend_count; i++) {
		struct conf_lend *l = &conf->lend[i];
		struct conf_component *from;

		l->from = component_find(conf, l->from_name);
		l->to = component_find(conf, l->to_name);
		if (l->from < 0 || l->to < 0)
			return fail_at(e, l->line, "no component is named",
			    l->from < 0 ? l->from_name : l->to_name, NULL);
		if (l->from == l->to)
			return fail_at(e, l->line, "lend", l->from_name, "its own device: that is dma");
		if (!conf->component[l->to].pci.wanted)
			return fail_at(e, l->line, "lend to", l->to_name, "it has no device pci");
		for (unsigned k = 0; k < i; k++)
			if (conf->lend[k].from == l->from && conf->lend[k].to == l->to)
				return fail_at(e, l->line, "lend", l->from_name, "said twice");
		from = &conf->component[l->from];
		if (from->world && ++lends[l->from] > WORLD_MAX_LEND)
			return fail_at(e, l->line, "lend", l->from_name, "a world lends to eight drivers");
		if (from->window == 0 && ++windows == IO_WINDOWS)
			return fail_at(e, l->line, "lend", l->from_name, "more than seven lend memory");
		if (from->window == 0)
			from->window = windows;
	}
	return true;
}

static bool
check_end(struct conf *conf, struct conf_channel *c, const char *name, int *index,
    struct conf_error *e)
{
	if (strcmp(name, "init") == 0) {
		*index = CONF_INIT;
		return true;
	}
	*index = component_find(conf, name);
	if (*index < 0)
		return fail_at(e, c->line, "no component is named", name, NULL);
	return true;
}

/* A world sees exactly what struct world_info can name. */
static bool
check_world_channel(const struct conf *conf, unsigned index, struct conf_error *e)
{
	const struct conf_channel *c = &conf->channel[index], *o;
	unsigned disks = 0;

	if (c->server >= 0 && conf->component[c->server].world)
		return fail_at(e, c->line, "channel", c->name, "a world cannot be a server yet");
	if (c->client < 0 || !conf->component[c->client].world)
		return true;
	if (c->type == CHANNEL_CALL)
		return fail_at(e, c->line, "channel", c->name, "a VCPU thread cannot call");
	for (unsigned i = 0; i < index; i++) {
		o = &conf->channel[i];
		if (o->client == c->client && o->type == c->type &&
		    (c->type == CHANNEL_STREAM || c->type == CHANNEL_LOG))
			return fail_at(e, c->line, "channel", c->name,
			    "a world has one stream and one log");
		disks += o->client == c->client && (o->type == CHANNEL_BLOCK || o->type == CHANNEL_FS);
	}
	if (disks >= WORLD_MAX_CHANNELS && (c->type == CHANNEL_BLOCK || c->type == CHANNEL_FS))
		return fail_at(e, c->line, "channel", c->name, "a world has sixteen disks and file systems");
	return true;
}

static bool
check_channel(struct conf *conf, unsigned index, struct conf_error *e)
{
	struct conf_channel *c = &conf->channel[index];

	for (unsigned i = 0; i < index; i++)
		if (strcmp(conf->channel[i].name, c->name) == 0)
			return fail_at(e, c->line, "channel", c->name, "name taken already");
	if (!check_end(conf, c, c->client_name, &c->client, e) ||
	    !check_end(conf, c, c->server_name, &c->server, e))
		return false;
	if (c->client == c->server)
		return fail_at(e, c->line, "channel", c->name, "both ends are the same component");
	if (c->server == CONF_INIT || (c->client == CONF_INIT && c->type != CHANNEL_LOG))
		return fail_at(e, c->line, "channel", c->name, "init is the client of a log only");
	for (unsigned i = 0; i < index; i++)
		if (c->type == CHANNEL_LOG && conf->channel[i].type == CHANNEL_LOG &&
		    conf->channel[i].client == c->client)
			return fail_at(e, c->line, "channel", c->name, "its client has a log already");
	return check_world_channel(conf, index, e);
}

/* Who says what a channel reaches has all of that disk itself, or it would be given by who has it not. */
static bool
check_part_by(const struct conf *conf, const struct conf_channel *c, struct conf_error *e)
{
	if (strncmp(c->part, "by ", 3) != 0)
		return true;
	for (unsigned i = 0; i < conf->channel_count; i++) {
		const struct conf_channel *o = &conf->channel[i];

		if (o->type == CHANNEL_BLOCK && o->server == c->server && strcmp(o->part, "disk") == 0 &&
		    strcmp(o->client_name, c->part + 3) == 0)
			return true;
	}
	return fail_at(e, c->line, "part by", c->part + 3, "it has no channel of that disk");
}

/* What the server of a block channel moves data for must be in its reach. */
static bool
check_block(struct conf *conf, struct conf_channel *c, struct conf_error *e)
{
	if (!conf->component[c->server].pci.wanted)
		return fail_at(e, c->line, "channel", c->name, "its server has no device pci");
	if (!conf_lends(conf, c->client, c->server))
		return fail_at(e, c->line, "channel", c->name,
		    "its client lends no memory to its server");
	c->windows = (uint32_t)1 << conf->component[c->client].window;
	for (unsigned i = 0; i < conf->channel_count; i++) {
		const struct conf_channel *o = &conf->channel[i];

		if (o->type == CHANNEL_FS && o->server == c->client &&
		    conf_lends(conf, o->client, c->server))
			c->windows |= (uint32_t)1 << conf->component[o->client].window;
	}
	return check_part_by(conf, c, e);
}

static bool
check_ends(const struct conf *conf, struct conf_error *e)
{
	unsigned count[CONF_MAX_COMPONENTS] = { 0 };

	for (unsigned i = 0; i < conf->channel_count; i++) {
		const struct conf_channel *c = &conf->channel[i];
		int ends[2] = { c->client, c->server };

		for (unsigned k = 0; k < 2; k++)
			if (ends[k] >= 0 && ++count[ends[k]] > COMPONENT_MAX_CHANNELS)
				return fail_at(e, c->line, "channel", c->name,
				    "one end has too many channels");
	}
	return true;
}

/*
 * Calls form no cycle (DESIGN 3.3), or donated time could wait for itself.
 * Take away components that call nobody, with the channels to them, until
 * nothing changes: what is left then lies on or leads to a cycle.
 */
static bool
check_cycles(const struct conf *conf, struct conf_error *e)
{
	bool gone[CONF_MAX_COMPONENTS] = { false };
	const struct conf_channel *last = NULL;
	bool changed = true;

	while (changed) {
		changed = false;
		for (unsigned i = 0; i < conf->component_count; i++) {
			bool calls = false;

			for (unsigned k = 0; k < conf->channel_count; k++) {
				const struct conf_channel *c = &conf->channel[k];

				if (c->type == CHANNEL_CALL && c->client == (int)i && !gone[c->server])
					calls = true;
			}
			if (!calls && !gone[i])
				gone[i] = changed = true;
		}
	}
	for (unsigned k = 0; k < conf->channel_count; k++)
		if (conf->channel[k].type == CHANNEL_CALL && !gone[conf->channel[k].client])
			last = &conf->channel[k];
	if (last == NULL)
		return true;
	return fail_at(e, last->line, "channel", last->name, "calls form a cycle");
}

/* Limited budgets on one CPU must fit into it, in parts of a million. */
static bool
check_time(const struct conf *conf, struct conf_error *e)
{
	for (unsigned cpu = 0; cpu < CONF_MAX_CPUS; cpu++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < conf->component_count; i++) {
			const struct conf_component *c = &conf->component[i];

			if (c->period_ns == 0 || (c->cpus >> cpu & 1) == 0)
				continue;
			/* an hour in ns is below 2^42, and 2^42 * 2^20 fits */
			sum += c->budget_ns * 1000000 / c->period_ns;
			if (sum > 1000000)
				return fail_at(e, c->line, c->name, NULL,
				    "the time given away on its CPU is more than all");
		}
	}
	return true;
}

bool
conf_parse(struct conf *conf, const char *text, size_t size, struct conf_error *error)
{
	struct parser p = { .conf = conf, .error = error };

	memset(conf, 0, sizeof *conf);
	error->line = 0;
	error->reason[0] = '\0';
	if (!parse_text(&p, text, size))
		return false;
	if (conf->component_count == 0)
		return fail_at(error, 0, "nothing to start", NULL, NULL);
	for (unsigned i = 0; i < conf->component_count; i++)
		if (!check_component(conf, i, error))
			return false;
	for (unsigned i = 0; i < conf->channel_count; i++)
		if (!check_channel(conf, i, error))
			return false;
	if (!check_lends(conf, error))
		return false;
	for (unsigned i = 0; i < conf->channel_count; i++)
		if (conf->channel[i].type == CHANNEL_BLOCK &&
		    !check_block(conf, &conf->channel[i], error))
			return false;
	return check_ends(conf, error) && check_cycles(conf, error) && check_time(conf, error);
}
