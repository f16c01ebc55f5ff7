/* SPDX-License-Identifier: MIT */
/*
 * The parser of system.conf: the real files, and every kind of mistake with
 * the line and the words it must be answered with.
 */
#include <check.h>
#include <proto/component.h>
#include <tessera/bootinfo.h>
#include "../conf.h"

static struct conf conf;
static struct conf_error error;

static bool
parse(const char *text)
{
	return conf_parse(&conf, text, strlen(text), &error);
}

/* One file, or two of them one after the other. */
static bool
parse_files(const char *path, const char *more)
{
	static char text[65536];
	const char *paths[2] = { path, more };
	size_t n = 0;

	for (unsigned i = 0; i < 2 && paths[i] != NULL; i++) {
		FILE *f = fopen(paths[i], "r");

		if (f == NULL)
			return false;
		n += fread(text + n, 1, sizeof text - n, f);
		fclose(f);
	}
	if (conf_parse(&conf, text, n, &error))
		return true;
	printf("  %s:%u: %s\n", path, error.line, error.reason);
	return false;
}

#define A "component a\nimage a\nmemory 128K\npriority 10\n"
#define B "component b\nimage b\nmemory 128K\npriority 10\n"
static const struct conf_component *
component(const char *name)
{
	static const struct conf_component none;

	for (unsigned i = 0; i < conf.component_count; i++)
		if (strcmp(conf.component[i].name, name) == 0)
			return &conf.component[i];
	return &none;
}

#define D "device pci class=010802\n"
#define W "world w\nimage w\nmemory rest\npriority 5\n"

static void
the_normal_system_is_valid(void)
{
	CHECK(parse_files("../../system.conf", NULL));
	CHECK(component("linux")->world && component("linux")->memory_rest && component("linux")->power);
	CHECK(component("linux")->memory_usage);
	CHECK(component("linux")->capabilities);
	CHECK(component("linux")->health_ns == 300000000000);
	CHECK(component("uart")->image[1].uart == BOOT_UART_16550);
	CHECK(component("uart")->delay_ns == 10000000 && component("uart")->limit == 50);
	CHECK(component("devmgr")->pci_config && component("nvme0")->pci.class_code == 0x010802);
	CHECK(conf.channel[0].type == CHANNEL_STREAM && conf.channel[0].size == 65536);
	CHECK(conf.channel[0].client == 1 && conf.channel[0].server == 0);
	CHECK(conf.channel[2].client == CONF_INIT);
	for (unsigned i = 0; i < conf.component_count; i++)
		CHECK(conf.component[i].power == conf.component[i].world);
}

static void
the_chaos_system_is_valid(void)
{
	CHECK(parse_files("../../system.conf", "../../test/chaos/chaos.conf"));
	CHECK(component("chaos")->kill_count == 9 && component("chaos")->kill[0] == 0);
	CHECK(strcmp(component("chaos")->args, "20 8000 20 400") == 0);
}

static void
values_are_read_with_their_units(void)
{
	CHECK(parse(A "time 2ms/10ms\ncpu 3\nrestart on-failure delay 250us limit 5/2s\n"
	    "args  one   two#not this\n"));
	CHECK(conf.component[0].budget_ns == 2000000 && conf.component[0].period_ns == 10000000);
	CHECK(conf.component[0].cpus == 8 && conf.component[0].restart == RESTART_ON_FAILURE);
	CHECK(conf.component[0].delay_ns == 250000 && conf.component[0].limit_ns == 2000000000);
	CHECK(strcmp(conf.component[0].args, "one   two") == 0);
	CHECK(parse(W "cpu 0 2\n") && conf.component[0].cpus == 5);
	CHECK(parse("component a\r\nimage a\r\nmemory 1M\r\npriority 1\r\n"));
	CHECK(conf.component[0].memory == 1 << 20);
}

static void
mistakes_are_named_with_their_line(void)
{
	static const struct { const char *text; unsigned line; const char *words; } bad[] = {
		{ "", 0, "nothing to start" },
		{ "# only a comment", 0, "nothing to start" },
		{ "frobnicate\n", 1, "unknown word \"frobnicate\"" },
		{ "memory 1M\n", 1, "outside of a component" },
		{ "component\n", 1, "wants one name" },
		{ "component a b\n", 1, "wants one name" },
		{ "component ../etc\n", 1, "not a name" },
		{ "component averyverylongname\n", 1, "not a name" },
		{ "component init\nimage a\nmemory 1M\npriority 1\n", 1, "taken already" },
		{ A A, 5, "taken already" },
		{ "component a\nmemory 1M\npriority 1\n", 1, "no image" },
		{ "component a\nimage a\npriority 1\n", 1, "no memory" },
		{ "component a\nimage a\nmemory 1M\n", 1, "no priority" },
		{ "component a\nimage a if uart=8250\n", 2, "unknown condition" },
		{ "component a\nimage a when x\n", 2, "unknown word \"when\"" },
		{ "component a\nimage a b\n", 2, "wants: image" },
		{ "component a\nimage a\nimage b\nimage c\nimage d\nimage e\n", 6, "too many images" },
		{ "component a\nmemory 3K\n", 2, "not a power of two" },
		{ "component a\nmemory 64K\n", 2, "from 128K" },
		{ "component a\nmemory 1T\n", 2, "not a power of two" },
		{ "component a\nmemory 99999999999999999999\n", 2, "not a power of two" },
		{ "component a\nmemory 17179869184G\n", 2, "not a power of two" },
		{ "component a\nmemory 1M\nmemory 1M\n", 3, "said twice" },
		{ "component a\nmemory rest\n", 2, "only a world" },
		{ W "world v\nimage v\nmemory rest\npriority 1\n", 5, "given away already" },
		{ "component a\npriority 254\n", 2, "from 1 to 253" },
		{ "component a\npriority 0\n", 2, "from 1 to 253" },
		{ "component a\npriority x\n", 2, "from 1 to 253" },
		{ "component a\ncpu all\n", 2, "one CPU" },
		{ "component a\ncpu 0 1\n", 2, "wants: cpu" },
		{ "component a\ncpu 16\n", 2, "from 0 to 15" },
		{ "component a\ntime 2ms\n", 2, "wants: time" },
		{ "component a\ntime 2h/3h\n", 2, "us, ms or s" },
		{ "component a\ntime 3ms/2ms\n", 2, "more than its period" },
		{ A "time 6ms/10ms\n" B "time 5ms/10ms\n", 6, "more than all" },
		{ "component a\ndevice nvme\n", 2, "uart, pci-config, or pci" },
		{ W "device uart\n", 5, "channels, not devices" },
		{ A "device uart\n" B "device uart\n", 6, "given away already" },
		{ "component a\nallow everything\n", 2, "power, kernel-log" },
		{ A "allow kill ghost\n", 1, "\"ghost\"" },
		{ W "allow kernel-log\n", 5, "power, kernel-log" },
		{ "component a\nallow memory-usage\n", 2, "memory-usage, capabilities (a world)" },
		{ "component a\nallow capabilities\n", 2, "memory-usage, capabilities (a world)" },
		{ "component a\nhealth 5s\n", 2, "only a world" },
		{ W "health soon\n", 5, "up to an hour" },
		{ W "health 2h\n", 5, "up to an hour" },
		{ "component a\nrestart sometimes\n", 2, "always, on-failure or never" },
		{ "component a\nrestart always delay\n", 2, "has no value" },
		{ "component a\nrestart always limit 5\n", 2, "COUNT/TIME" },
		{ "component a\nrestart always limit 0/1s\n", 2, "COUNT/TIME" },
		{ "component a\narchive x\n", 2, "only a world" },
		{ "component a\nhostname x\n", 2, "in a world" },
		{ "channel c stream a b\n", 1, "call has no size" },
		{ "channel c call a b 64K\n", 1, "call has no size" },
		{ "channel c pipe a b 64K\n", 1, "stream, log, call, block or fs" },
		{ "channel c stream a b 4K\n", 1, "from 8K to 1M" },
		{ "channel c stream a b 2M\n", 1, "from 8K to 1M" },
		{ A "channel c stream a nobody 64K\n", 5, "\"nobody\"" },
		{ A "channel c stream a a 64K\n", 5, "same component" },
		{ A "channel c stream a init 64K\n", 5, "client of a log only" },
		{ A "channel c stream init a 64K\n", 5, "client of a log only" },
		{ A B "channel c log a b 8K\nchannel c log b a 8K\n", 10, "name taken" },
		{ A B "channel c log a b 8K\nchannel d log a b 8K\n", 10, "has a log already" },
		{ A W "channel c stream a w 64K\n", 9, "cannot be a server" },
		{ A W "channel c call w a\n", 9, "cannot call" },
		{ A W "channel c stream w a 64K\nchannel d stream w a 64K\n", 10, "one stream" },
		{ A B "channel c call a b\nchannel d call b a\n", 10, "cycle" },
		{ A "device pci-config\n" B "device pci-config\n", 6, "given away already" },
		{ A "device pci\n", 5, "uart, pci-config, or pci" },
		{ A "device pci class=1\n", 5, "two, four or six digits" },
		{ A "device pci class=01080200\n", 5, "two, four or six digits" },
		{ A "device pci class=xy\n", 5, "two, four or six digits" },
		{ A "device pci class=\n", 5, "two, four or six digits" },
		{ A "device pci class=01 class=02\n", 5, "each once" },
		{ A "device pci vendor=1af4,2\n", 5, "up to four digits" },
		{ A "device pci vendor=12345\n", 5, "up to four digits" },
		{ A "device pci vendor=1 device=1,2,3,4,5\n", 5, "up to four numbers" },
		{ A "device pci vendor=1 device=1,\n", 5, "up to four numbers" },
		{ A "device pci device=1042\n", 5, "nothing without vendor=" },
		{ A "device pci index 1\n", 5, "wants class= or vendor=" },
		{ A "device pci class=01 index\n", 5, "a number up to 63" },
		{ A "device pci class=01 index 64\n", 5, "a number up to 63" },
		{ A "device pci class=01 index 1 vendor=1\n", 5, "a number up to 63" },
		{ A D "device pci class=02\n", 6, "one function" },
		{ W "device pci class=01\n", 5, "channels, not devices" },
		{ A "dma 64K\n", 1, "dma without device pci" },
		{ A D "dma 128K\n", 1, "more than half" },
		{ A D "dma 2K\n", 6, "from 4K to 64M" },
		{ A D "dma 3M\n", 6, "from 4K to 64M" },
		{ W "dma 64K\n", 5, "lends its memory instead" },
		{ "lend a\n", 1, "wants: lend" },
		{ A "lend a ghost\n", 5, "\"ghost\"" },
		{ A "lend ghost a\n", 5, "\"ghost\"" },
		{ A D "lend a a\n", 6, "that is dma" },
		{ A B "lend a b\n", 9, "no device pci" },
		{ A D B "lend b a\nlend b a\n", 11, "said twice" },
		{ A D B "lend b a\nmemory 1M\n", 11, "outside of a component" },
		{ A D B "channel c block b a 256K\n", 10, "part disk|root" },
		{ A D B "channel c block b a 256K part\n", 10, "part disk|root" },
		{ A D B "channel c block b a 128K part disk\n", 10, "has 256K" },
		{ A D B "channel c block b a 256K part di$k\n", 10, "not a name" },
		{ A D B "channel c block b a 256K part disk\n", 10, "lends no memory" },
		{ A B "channel c block b a 256K part disk\n", 9, "no device pci" },
		{ A B "channel c fs b a 256K\n", 9, "has 1M" },
		{ A B "channel c fs b a 1M part disk\n", 9, "wants: channel" },
		{ "component a\nimage \001\n", 2, "not text" },
		{ "a b c d e f g h i j k l m n o p q\n", 1, "more than 16 words" },
	};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		bool accepted = parse(bad[i].text);

		if (accepted || error.line != bad[i].line || strstr(error.reason, bad[i].words) == NULL)
			printf("  [%s] gave %d, line %u: %s\n", bad[i].text, accepted, error.line,
			    error.reason);
		CHECK(!accepted && error.line == bad[i].line);
		CHECK(strstr(error.reason, bad[i].words) != NULL);
	}
}

static void
calls_without_a_cycle_are_allowed(void)
{
	CHECK(parse(A B "component c\nimage c\nmemory 128K\npriority 1\n"
	    "channel x call a b\nchannel y call b c\nchannel z call a c\n"));
	CHECK(!parse(A B "component c\nimage c\nmemory 128K\npriority 1\n"
	    "channel x call a b\nchannel y call b c\nchannel z call c a\n"));
}

static void
every_table_has_a_bound(void)
{
	static char text[65536];
	size_t n = 0;

	for (unsigned i = 0; i < 25; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
		    "component c%u\nimage a\nmemory 128K\npriority 1\n", i);
	CHECK(!parse(text) && error.line == 97 && strstr(error.reason, "too many") != NULL);
	n = (size_t)snprintf(text, sizeof text, A B);
	for (unsigned i = 0; i < 65; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "channel c%u stream a b 8K\n", i);
	CHECK(!parse(text) && strstr(error.reason, "too many") != NULL);
	n = (size_t)snprintf(text, sizeof text, A B);
	for (unsigned i = 0; i < 25; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "channel c%u stream a b 8K\n", i);
	CHECK(!parse(text) && strstr(error.reason, "one end") != NULL);
	/* what struct world_info, its slots and its bits have room for */
	n = (size_t)snprintf(text, sizeof text, A W "channel tty stream w a 8K\nchannel l log w a 8K\n");
	for (unsigned i = 0; i < 16; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "channel c%u fs w a 1M\n", i);
	CHECK(parse(text));
	(void)snprintf(text + n, sizeof text - n, "channel c16 fs w a 1M\n");
	CHECK(!parse(text) && error.line == 27 && strstr(error.reason, "sixteen") != NULL);
	n = (size_t)snprintf(text, sizeof text, A D B);
	for (unsigned i = 0; i < 41; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "lend b x%u\n", i);
	CHECK(!parse(text) && error.line == 50 && strstr(error.reason, "too many") != NULL);
	n = 0;
	for (unsigned i = 0; i < 9; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
		    "component c%u\nimage a\nmemory 128K\npriority 1\n%s", i, i == 8 ? D : "");
	for (unsigned i = 0; i < 8; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "lend c%u c8\n", i);
	CHECK(!parse(text) && error.line == 45 && strstr(error.reason, "more than seven") != NULL);
}

static void
a_driver_says_which_function_it_wants(void)
{
	const struct conf_pci *pci = &conf.component[0].pci;

	CHECK(parse(A "device pci class=0108\n"));
	CHECK(pci->wanted && pci->class_code == 0x010800 && pci->class_mask == 0xffff00);
	CHECK(!pci->has_vendor && pci->device_count == 0 && pci->index == 0);
	CHECK(parse(A "device pci class=010802 index 3\ndma 64K\n"));
	CHECK(pci->class_code == 0x010802 && pci->class_mask == 0xffffff && pci->index == 3);
	CHECK(conf.component[0].dma == 65536);
	CHECK(parse(A "device pci vendor=1af4 device=1042,1001\n"));
	CHECK(pci->has_vendor && pci->vendor == 0x1af4 && pci->device_count == 2);
	CHECK(pci->device[0] == 0x1042 && pci->device[1] == 0x1001 && pci->class_mask == 0);
	CHECK(parse(A "device pci-config\n") && conf.component[0].pci_config && !pci->wanted);
}

/* Lenders get windows as they appear; a file server's disk may move data for
 * its clients as well, if they lend to it. */
static void
windows_follow_from_lend_and_channel_lines(void)
{
	static const char text[] = A D B W
	    "channel disk block b a 256K part root\nchannel root fs w b 1M\n"
	    "channel raw block w a 256K part disk\nlend w a\nlend b a\n";

	CHECK(parse(text));
	CHECK(conf.component[2].window == 1 && conf.component[1].window == 2);
	CHECK(conf.component[0].window == 0);
	CHECK(conf.channel[0].windows == 6 && strcmp(conf.channel[0].part, "root") == 0);
	CHECK(conf.channel[1].windows == 0 && conf.channel[1].size == 1 << 20);
	CHECK(conf.channel[2].windows == 2 && strcmp(conf.channel[2].part, "disk") == 0);
	CHECK(conf_lends(&conf, 1, 0) && conf_lends(&conf, 2, 0) && !conf_lends(&conf, 0, 1));
	CHECK(parse(A D B W "channel disk block b a 256K part root\nchannel root fs w b 1M\nlend b a\n"));
	CHECK(conf.channel[0].windows == 2);
}

/* Only who has the whole disk says what another channel reaches of it. */
static void
bounds_are_said_by_who_has_the_disk(void)
{
#define BY(who)	A D B W "lend w a\nlend b a\nchannel m block b a 256K part by " who "\n"
	CHECK(!parse(BY("w")) && strstr(error.reason, "no channel of that disk") != NULL);
	CHECK(parse(BY("w") "channel raw block w a 256K part disk\n"));
	CHECK(strcmp(conf.channel[0].part, "by w") == 0 && conf.channel[0].windows == 4);
	CHECK(!parse(BY("b") "channel raw block w a 256K part disk\n"));
	CHECK(!parse(BY("w") "channel raw block w a 256K part root\n"));
	CHECK(!parse(A D B W "lend b a\nchannel m block b a 256K part by\n") || strcmp(conf.channel[0].part, "by") == 0);
	CHECK(!parse(A D B W "lend b a\nchannel m block b a 256K part to w\n"));
	CHECK(!parse(A D B W "lend b a\nchannel m block b a 256K part by w x\n"));
#undef BY
}

int
main(void)
{
	RUN(bounds_are_said_by_who_has_the_disk);
	RUN(the_normal_system_is_valid);
	RUN(the_chaos_system_is_valid);
	RUN(values_are_read_with_their_units);
	RUN(mistakes_are_named_with_their_line);
	RUN(calls_without_a_cycle_are_allowed);
	RUN(every_table_has_a_bound);
	RUN(a_driver_says_which_function_it_wants);
	RUN(windows_follow_from_lend_and_channel_lines);
	CHECK_END();
}
