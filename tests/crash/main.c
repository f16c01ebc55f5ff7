/* SPDX-License-Identifier: MIT */
/*
 * crash: the crash laboratory of base/fs (see README.md).
 *
 *	crash				what `make test` runs
 *	crash --long			all sequences of one and two, samples of three, all named ones
 *	      [--length N]		of that plan, only sequences of N (0: named ones)
 *	crash --self-test		disks that lie: does the laboratory find it?
 *	crash --profile P (--ops TEXT | --named N) [--order O] [--seed N] [--random N]
 *	      [--fault F] [--state STATE [--second STATE]] [--verbose]
 *					one workload, or one state of it
 *	crash … --deaths | --death N	the same workload with deaths of the server, or one
 *	crash --list			profiles and named workloads
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "e2.h"
#include "lab.h"
#include "workload.h"

#define MIB ((size_t)1024 * 1024)
#define COUNT(list) (sizeof(list) / sizeof *(list))

/* For what is nearly full: all but some hundred blocks. */
#define FILL "creat /filler; falloc /filler 0 819200; sync"

static struct profile profiles[] = {
	/* what mke2fs makes today, in small: 1 KiB blocks make for small journals and many blocks */
	{ .name = "1k", .mke2fs = "-b 1024 -J size=1 -N 256", .block_bytes = 1024, .sector_bytes = 512,
	    .size = 3 * MIB },
	{ .name = "4k", .mke2fs = "-b 4096 -J size=4 -N 1024", .block_bytes = 4096, .sector_bytes = 512,
	    .size = 10 * MIB },
	/* a disk of 4 KiB sectors; several groups, 128-byte group descriptors' halves in use */
	{ .name = "4kn", .mke2fs = "-b 4096 -J size=4 -N 256 -g 1024", .block_bytes = 4096,
	    .sector_bytes = 4096, .size = 12 * MIB },
	/* before metadata_csum and 64bit; 128-byte inodes, so xattrs go to blocks */
	{ .name = "old", .mke2fs = "-b 1024 -J size=1 -N 256 -I 128 -O ^metadata_csum,^64bit,uninit_bg",
	    .block_bytes = 1024, .sector_bytes = 512, .size = 3 * MIB },
	{ .name = "2k", .mke2fs = "-b 2048 -J size=2 -N 256 -O ^flex_bg,^resize_inode", .block_bytes = 2048,
	    .sector_bytes = 512, .size = 5 * MIB },
	{ .name = "groups", .mke2fs = "-b 1024 -J size=1 -N 512 -g 1024 -G 4", .block_bytes = 1024,
	    .sector_bytes = 512, .size = 6 * MIB },
	{ .name = "full", .mke2fs = "-b 1024 -J size=1 -N 64 -m 0", .block_bytes = 1024, .sector_bytes = 512,
	    .size = 2304 * 1024, .fill = FILL, .may_be_full = true },
	/* what is freed is discarded; what is free is, when it is asked for */
	{ .name = "discard", .mke2fs = "-b 1024 -J size=1 -N 512 -g 1024", .block_bytes = 1024, .sector_bytes = 512,
	    .size = 4 * MIB, .discards = DISCARDS_FREED },
	{ .name = "trim", .mke2fs = "-b 1024 -J size=1 -N 512 -g 1024", .block_bytes = 1024, .sector_bytes = 512,
	    .size = 4 * MIB, .discards = DISCARDS_CAN },
};

static struct profile *
find_profile(const char *name)
{
	for (size_t i = 0; i < COUNT(profiles); i++) {
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	}
	errx(2, "no profile \"%s\"; there are 1k, 4k, 4kn, old, 2k, groups, full, discard, trim", name);
}

/* ---- what is run ----------------------------------------------------------------------- */

enum { SEED = 20261127, OVERLAP = 100, DEATHS = 1000 };

/* Every index of a kind of sequence if count is 0, or as many of them as a sample. */
struct part {
	const char *profile;
	unsigned length;	/* of sequences; 0: a named workload; + OVERLAP; + DEATHS: of the server */
	unsigned count;
	const char *name;
	unsigned random;
};

static const struct part short_plan[] = {
	{ "1k", 1, 0, NULL, 3 }, { "4k", 1, 60, NULL, 3 }, { "old", 1, 60, NULL, 3 },
	{ "1k", 2, 200, NULL, 2 }, { "groups", 2, 40, NULL, 2 }, { "4kn", 2, 40, NULL, 2 },
	{ "1k", 3, 40, NULL, 2 },
	{ "1k", OVERLAP + 3, 60, NULL, 2 }, { "4k", OVERLAP + 4, 20, NULL, 1 }, { "1k", 0, 0, "busy", 1 },
	{ "1k", 0, 0, "churn", 0 },
	{ "1k", 0, 0, "replace", 2 }, { "1k", 0, 0, "sqlite-rollback", 2 }, { "4k", 0, 0, "sqlite-wal", 2 },
	{ "1k", 0, 0, "orphans", 2 }, { "full", 0, 0, "full", 2 }, { "1k", 0, 0, "revoke", 1 },
	{ "4k", 0, 0, "forgotten", 1 }, { "1k", 0, 0, "untar-small", 1 },
	{ "discard", 1, 40, NULL, 2 }, { "discard", 0, 0, "discard", 1 }, { "discard", 0, 0, "revoke", 1 }, { "trim", 0, 0, "discard", 2 },
	{ "discard", OVERLAP + 3, 20, NULL, 1 }, { "discard", DEATHS, 0, "discard", 0 },
	{ "1k", DEATHS + 1, 0, NULL, 0 }, { "1k", DEATHS + OVERLAP + 3, 60, NULL, 0 },
	{ "1k", DEATHS, 0, "orphans", 0 }, { "1k", DEATHS, 0, "sqlite-rollback", 0 },
};

static const struct part long_plan[] = {
	{ "1k", 1, 0, NULL, 12 }, { "4k", 1, 0, NULL, 12 }, { "4kn", 1, 0, NULL, 12 }, { "old", 1, 0, NULL, 12 },
	{ "2k", 1, 0, NULL, 12 }, { "groups", 1, 0, NULL, 12 },
	{ "1k", 0, 0, "replace", 12 }, { "4k", 0, 0, "replace", 12 }, { "1k", 0, 0, "sqlite-rollback", 12 },
	{ "4k", 0, 0, "sqlite-rollback", 12 }, { "1k", 0, 0, "sqlite-wal", 12 }, { "4k", 0, 0, "sqlite-wal", 12 },
	{ "1k", 0, 0, "orphans", 12 }, { "old", 0, 0, "orphans", 12 }, { "4kn", 0, 0, "orphans", 12 },
	{ "full", 0, 0, "full", 12 }, { "1k", 0, 0, "directory", 6 }, { "old", 0, 0, "directory", 6 },
	{ "1k", 0, 0, "extents", 6 }, { "groups", 0, 0, "extents", 6 }, { "1k", 0, 0, "revoke", 6 },
	{ "old", 0, 0, "revoke", 6 }, { "4k", 0, 0, "forgotten", 4 }, { "1k", 0, 0, "wrap", 2 }, { "groups", 0, 0, "untar", 4 },
	{ "4k", 0, 0, "untar", 4 },
	{ "1k", 3, 500, NULL, 4 }, { "groups", 3, 100, NULL, 4 }, { "4k", 3, 100, NULL, 4 },
	{ "old", 3, 100, NULL, 4 },
	{ "1k", OVERLAP + 3, 500, NULL, 4 }, { "groups", OVERLAP + 4, 200, NULL, 4 },
	{ "4k", OVERLAP + 4, 200, NULL, 4 }, { "1k", 0, 0, "busy", 8 }, { "old", 0, 0, "busy", 8 },
	{ "1k", 0, 0, "churn", 8 }, { "groups", 0, 0, "churn", 4 }, { "4k", 0, 0, "churn", 4 },
	{ "1k", DEATHS, 0, "churn", 0 },
	{ "1k", DEATHS + 1, 0, NULL, 0 }, { "4k", DEATHS + 1, 0, NULL, 0 }, { "old", DEATHS + 1, 0, NULL, 0 },
	{ "1k", DEATHS + 3, 500, NULL, 0 }, { "1k", DEATHS + OVERLAP + 3, 500, NULL, 0 },
	{ "groups", DEATHS + OVERLAP + 4, 300, NULL, 0 }, { "1k", DEATHS, 0, "orphans", 0 },
	{ "1k", DEATHS, 0, "sqlite-rollback", 0 }, { "1k", DEATHS, 0, "sqlite-wal", 0 },
	{ "1k", DEATHS, 0, "busy", 0 }, { "1k", DEATHS, 0, "directory", 0 }, { "1k", DEATHS, 0, "revoke", 0 },
	{ "discard", 1, 0, NULL, 8 }, { "discard", 3, 100, NULL, 4 }, { "discard", OVERLAP + 4, 200, NULL, 4 },
	{ "discard", 0, 0, "discard", 8 }, { "discard", 0, 0, "revoke", 6 }, { "discard", 0, 0, "extents", 6 },
	{ "discard", 0, 0, "churn", 4 }, { "trim", 0, 0, "discard", 12 }, { "trim", DEATHS, 0, "discard", 0 }, { "discard", DEATHS, 0, "discard", 0 },
	{ "discard", DEATHS + OVERLAP + 4, 200, NULL, 0 },
	{ "1k", 2, 0, NULL, 4 }, { "4k", 2, 400, NULL, 4 }, { "4kn", 2, 400, NULL, 4 },
	{ "old", 2, 400, NULL, 4 }, { "2k", 2, 400, NULL, 4 }, { "groups", 2, 400, NULL, 4 },
};

static struct lab lab;		/* large, so not on the stack */

static void
add_counts(struct counts *to, const struct counts *from)
{
	const uint64_t *more = (const uint64_t *)from;
	uint64_t *sum = (uint64_t *)to;

	for (size_t i = 0; i < sizeof *to / sizeof *sum; i++)
		__atomic_add_fetch(&sum[i], more[i], __ATOMIC_RELAXED);
}

static void
print_counts(const char *what, const struct counts *counts, double seconds)
{
	printf("%-28s %6llu workloads (%llu skipped) %8llu operations %8llu points %9llu states "
	    "%8llu different %6llu deaths %8llu e2fsck %5.0f s%s\n", what,
	    (unsigned long long)counts->workloads, (unsigned long long)counts->skipped,
	    (unsigned long long)counts->operations, (unsigned long long)counts->points,
	    (unsigned long long)counts->states, (unsigned long long)counts->recoveries,
	    (unsigned long long)counts->deaths, (unsigned long long)counts->processes, seconds, counts->violations != 0 ? "  VIOLATIONS" : "");
	fflush(stdout);
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Sequences that would be refused do not count towards a sample. */
static void
run_sequences(const struct part *part, unsigned worker, unsigned workers)
{
	unsigned length = part->length % OVERLAP;
	bool overlap = part->length % DEATHS > OVERLAP, deaths = part->length > DEATHS;
	uint64_t all = overlap ? 1ULL << 32 : sequence_count(length);
	uint64_t tries = part->count != 0 ? 8 * (uint64_t)part->count : all, good = 0;

	for (uint64_t i = worker; i < tries; i += workers) {
		uint64_t index = part->count != 0 ? mix(SEED + part->length % DEATHS, i) % all : i;
		const char *text = overlap ?
		    overlap_text(length, index, lab.profile->block_bytes) :
		    sequence_text(length, index, lab.profile->block_bytes);
		struct workload workload = { .text = text, .random = part->random, .second = 1,
			.seed = index % 1000 };

		workload.order = (enum record_order)(mix(index, 3) % 4);
		if (deaths)
			workload.order = ORDER_RANDOM;	/* something must be in flight */
		good += (deaths ? lab_deaths(&lab, &workload, 0) : lab_run(&lab, &workload)) != LAB_SKIPPED;
		if (part->count != 0 && good * workers >= part->count)
			break;
	}
}

static void
run_part(const struct part *part, unsigned worker, unsigned workers)
{
	struct workload workload = { .name = part->name, .random = part->random,
		.second = 4, .order = ORDER_FIFO, .seed = 1 };
	char *text;

	if (part->length % DEATHS != 0) {
		run_sequences(part, worker, workers);
		return;
	}
	text = named_text(part->name, lab.profile->block_bytes);
	workload.text = text;
	workload.from = named_from(part->name);
	if (part->length == DEATHS)
		lab_deaths(&lab, &workload, 0);
	else
		lab_run(&lab, &workload);
	free(text);
}

struct shared {
	struct counts part[COUNT(long_plan)], total;
	uint64_t next[COUNT(long_plan)];	/* named ones are taken by whoever comes first */
};

static int
work(const struct part *plan, size_t parts, int length, unsigned worker, unsigned workers,
    struct shared *shared)
{
	int status = 0;

	for (size_t i = 0; i < parts; i++) {
		double start = now();

		if (length >= 0 && plan[i].length != (unsigned)length)
			continue;
		if (plan[i].name != NULL && __atomic_fetch_add(&shared->next[i], 1, __ATOMIC_RELAXED) != 0)
			continue;
		e2_processes = 0;
		memset(&lab.counts, 0, sizeof lab.counts);
		if (!profile_make(find_profile(plan[i].profile), false)) {
			profile_free(find_profile(plan[i].profile));
			lab.counts.failed++;
		} else {
			lab_open(&lab, find_profile(plan[i].profile));
			run_part(&plan[i], worker, workers);
			lab_close(&lab);
			profile_free(lab.profile);
		}
		lab.counts.processes = e2_processes;
		add_counts(&shared->part[i], &lab.counts);
		add_counts(&shared->total, &lab.counts);
		if (plan[i].name != NULL || __atomic_fetch_add(&shared->next[i], 1, __ATOMIC_RELAXED) + 1 == workers) {
			char what[64];

			const char *deaths = plan[i].length >= DEATHS ? ", deaths" : "";

			if (plan[i].name == NULL)
				snprintf(what, sizeof what, "%s: %s of %u%s", plan[i].profile, plan[i].count == 0 ? "all" :
				    plan[i].length % DEATHS > OVERLAP ? "overlapping" : "sampled", plan[i].length % OVERLAP,
				    deaths);
			else
				snprintf(what, sizeof what, "%s: %s%s", plan[i].profile, plan[i].name, deaths);
			print_counts(what, &shared->part[i], now() - start);
		}
		if (lab.counts.failed != 0)
			status = 1;
	}
	return status;
}

static int
run_plan(const struct part *plan, size_t parts, int length, unsigned workers)
{
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double start = now();
	int bad = 0, status;

	if (shared == MAP_FAILED)
		err(2, "memory");
	fflush(stdout);
	for (unsigned worker = 0; worker < workers; worker++) {
		pid_t child = fork();

		if (child < 0)
			err(2, "fork");
		if (child == 0)
			exit(work(plan, parts, length, worker, workers, shared));
	}
	for (unsigned worker = 0; worker < workers; worker++) {
		while (wait(&status) < 0 && errno == EINTR)
			;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		bad = 1;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
			printf("a worker ended with status %x\n", (unsigned)status);
	}
	print_counts("in all", &shared->total, now() - start);
	printf("%llu crash states checked, %llu deaths survived, %llu violations\n",
	    (unsigned long long)shared->total.states, (unsigned long long)shared->total.deaths,
	    (unsigned long long)shared->total.violations);
	printf("%llu passed, %llu failed\n",
	    (unsigned long long)(shared->total.workloads - (shared->total.failed < shared->total.workloads ?
		shared->total.failed : shared->total.workloads)),
	    (unsigned long long)(shared->total.failed + (bad && shared->total.failed == 0)));
	return bad;
}

/* ---- one workload ----------------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned fault;
} faults[] = {
	{ "no-flush", FAULT_NO_FLUSH }, { "no-fua", FAULT_NO_FUA }, { "late-data", FAULT_LATE_DATA },
	{ "early-answer", FAULT_EARLY_ANSWER }, { "no-redo", FAULT_NO_REDO }, { "no-rewrite", FAULT_NO_REWRITE },
};

static unsigned
find_fault(const char *name)
{
	for (size_t i = 0; i < COUNT(faults); i++) {
		if (strcmp(faults[i].name, name) == 0)
			return faults[i].fault;
	}
	errx(2, "no fault \"%s\"; there are no-flush, no-fua, late-data, early-answer, no-redo, no-rewrite", name);
}

static enum record_order
find_order(const char *name)
{
	static const char *const names[] = { "now", "fifo", "lifo", "random" };

	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(names[i], name) == 0)
			return (enum record_order)i;
	}
	errx(2, "no order \"%s\"; there are now, fifo, lifo, random", name);
}

static int
run_one(const char *profile, struct workload *workload, bool deaths, uint64_t death)
{
	double start = now();
	enum lab_result result;

	if (!profile_make(find_profile(profile), lab.verbose && !lab.replay_only))
		return 1;
	lab_open(&lab, find_profile(profile));
	result = deaths ? lab_deaths(&lab, workload, death) : lab_run(&lab, workload);
	lab.counts.processes = e2_processes;
	print_counts(profile, &lab.counts, now() - start);
	if (result == LAB_SKIPPED)
		printf("skipped: an operation would be refused\n");
	lab_close(&lab);
	profile_free(lab.profile);
	return result == LAB_BAD;
}

/* ---- the laboratory itself ---------------------------------------------------------------- */

/* What a fault is found by: a workload that needs what it takes away. */
static const struct {
	const char *name, *ops;
	unsigned fault;
	bool bad, deaths;
} self[] = {
	{ "an honest disk", "creat /A/new; append /A/new 5000; fsync /A/new; write /A/foo 0 1024; sync", 0, false, false },
	{ "flushes are ignored", "creat /A/new; append /A/new 5000; fsync /A/new", FAULT_NO_FLUSH | FAULT_NO_FUA, true, false },
	{ "flushes are ignored: a rename", "rename /A/foo /A/bar; fsync /A/bar; mkdir /B/C; sync", FAULT_NO_FLUSH | FAULT_NO_FUA, true, false },
	{ "commit before data", "creat /A/new; append /A/new 5000; fsync /A/new", FAULT_LATE_DATA, true, false },
	{ "commit before data, by time", "append /A/bar 5000; tick", FAULT_LATE_DATA, true, false },
	{ "data in place is late", "write /A/foo 0 1024; fdatasync /A/foo; chmod /A/bar 600", FAULT_LATE_DATA, true, false },
	{ "fsync answers too early", "creat /A/new; append /A/new 600; fsync /A/new", FAULT_EARLY_ANSWER, true, false },
	{ "sync answers too early", "unlink /A/foo; sync", FAULT_EARLY_ANSWER, true, false },
	{ "an honest redo area", "creat /A/new; append /A/new 5000; fsync /A/new; rename /A/new /B/x; sync", 0, false,
	    true },
	{ "the redo area dies with the server", "creat /A/new; rename /A/bar /B/x; sync", FAULT_NO_REDO, true, true },
	{ "data is not sent again", "append /A/foo 5000; sync", FAULT_NO_REWRITE, true, true },
};

static int
self_test(void)
{
	unsigned passed = 0, failed = 0;

	if (!profile_make(find_profile("1k"), false))
		return 1;
	for (size_t i = 0; i < COUNT(self); i++) {
		struct workload workload = { .text = self[i].ops, .order = ORDER_FIFO, .seed = 1, .random = 6 };
		enum lab_result result;

		memset(&lab.counts, 0, sizeof lab.counts);
		lab.faults = self[i].fault;
		/* What it finds here is as it should be, and not shown. */
		lab.quiet = self[i].bad;
		lab_open(&lab, find_profile("1k"));
		result = self[i].deaths ? lab_deaths(&lab, &workload, 0) : lab_run(&lab, &workload);
		lab_close(&lab);
		if ((result == LAB_BAD) == self[i].bad && result != LAB_SKIPPED) {
			printf("ok     %s: %llu states, %s\n", self[i].name,
			    (unsigned long long)(lab.counts.states + lab.counts.deaths),
			    self[i].bad ? "found" : "nothing found");
			passed++;
		} else {
			printf("FAILED %s: %llu states, %s\n", self[i].name, (unsigned long long)lab.counts.states,
			    self[i].bad ? "not found" : "violations");
			failed++;
		}
	}
	profile_free(find_profile("1k"));
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

static int
list(void)
{
	for (size_t i = 0; i < COUNT(profiles); i++)
		printf("profile %-8s %5zu KiB  mke2fs %s\n", profiles[i].name, profiles[i].size / 1024,
		    profiles[i].mke2fs);
	for (unsigned i = 0; workload_names[i] != NULL; i++)
		printf("named   %s\n", workload_names[i]);
	for (unsigned length = 1; length <= 3; length++)
		printf("sequences of %u: %llu\n", length, (unsigned long long)sequence_count(length));
	return 0;
}

int
main(int argc, char **argv)
{
	struct workload workload = { .order = ORDER_FIFO, .seed = 1, .random = 12, .second = 4 };
	const char *profile = "1k";
	unsigned workers = 2;
	int length = -1;
	bool is_long = false, deaths = false;
	uint64_t death = 0;
	char *text = NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	lab.command = getenv("CRASH_COMMAND") != NULL ? getenv("CRASH_COMMAND") : argv[0];
	lab.violations_max = 3;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--long") == 0) {
			is_long = true;
			continue;
		}
		if (strcmp(argv[i], "--verbose") == 0) {
			lab.verbose = true;
			continue;
		}
		if (strcmp(argv[i], "--deaths") == 0) {
			deaths = true;
			continue;
		}
		if (strcmp(argv[i], "--list") == 0)
			return list();
		if (strcmp(argv[i], "--self-test") == 0)
			return self_test();
		if (value == NULL)
			errx(2, "%s: what is this? (README.md)", argv[i]);
		i++;
		if (strcmp(argv[i - 1], "--profile") == 0)
			profile = value;
		else if (strcmp(argv[i - 1], "--ops") == 0)
			workload.text = value;
		else if (strcmp(argv[i - 1], "--named") == 0)
			workload.name = value;
		else if (strcmp(argv[i - 1], "--order") == 0)
			workload.order = find_order(value);
		else if (strcmp(argv[i - 1], "--seed") == 0)
			workload.seed = strtoull(value, NULL, 10);
		else if (strcmp(argv[i - 1], "--random") == 0)
			workload.random = (unsigned)strtoul(value, NULL, 10);
		else if (strcmp(argv[i - 1], "--death") == 0)
			deaths = true, death = strtoull(value, NULL, 10);
		else if (strcmp(argv[i - 1], "--jobs") == 0)
			workers = (unsigned)strtoul(value, NULL, 10);
		else if (strcmp(argv[i - 1], "--length") == 0)
			length = (int)strtoul(value, NULL, 10);
		else if (strcmp(argv[i - 1], "--fault") == 0)
			lab.faults |= find_fault(value);
		else if (strcmp(argv[i - 1], "--state") == 0)
			lab.replay_only = true;
		else if (strcmp(argv[i - 1], "--second") == 0)
			lab.second_only = true;
		else
			errx(2, "%s: what is this? (README.md)", argv[i - 1]);
		if (strcmp(argv[i - 1], "--state") == 0 && !state_parse(&lab.state, value))
			errx(2, "%s: not a state", value);
		if (strcmp(argv[i - 1], "--second") == 0 && !state_parse(&lab.second, value))
			errx(2, "%s: not a state", value);
	}
	if (workload.name != NULL) {
		workload.text = text = named_text(workload.name, find_profile(profile)->block_bytes);
		workload.from = named_from(workload.name);
		if (text == NULL)
			errx(2, "no workload \"%s\"", workload.name);
	}
	if (workload.text != NULL) {
		int status = run_one(profile, &workload, deaths, death);

		free(text);
		return status;
	}
	crc32c_use_cpu();		/* most of the time goes there otherwise */
	return is_long ? run_plan(long_plan, COUNT(long_plan), length, workers != 0 ? workers : 1) :
	    run_plan(short_plan, COUNT(short_plan), length, workers != 0 ? workers : 1);
}
