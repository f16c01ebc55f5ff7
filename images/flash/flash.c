/* SPDX-License-Identifier: MIT */
/*
 * flash: writes an image to a disk, after making sure that the disk is the one
 * that the user means.  Manual: flash(8).
 *
 * What is zero in the image has to be zero on the disk as well: an old boot
 * state or slot there would count.  But a disk that is zero already is only
 * read, which is faster and wears nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "flash.h"

enum { EXIT_USAGE = 2, TAIL = 64 << 10, QUIET_STEP = 10 };

struct job {
	struct source source;
	struct target target;
	bool force, yes;
	uint64_t bytes;			/* written or compared so far */
	uint64_t kept;			/* of these, zeros that were there */
	uint64_t total;			/* of the image; 0: not known yet */
	unsigned shown;			/* per cent */
	struct timespec begun;
};

static char reason[REASON];
static uint8_t chunk[CHUNK], there[CHUNK];
static volatile sig_atomic_t interrupted;

static int
failed(void)
{
	fprintf(stderr, "flash: %s\n", reason);
	return EXIT_FAILURE;
}

static void
interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static double
mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

static bool
all_zero(const uint8_t *p, size_t size)
{
	return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

/* ---- progress ------------------------------------------------------------ */

static double
seconds_since(const struct timespec *begun)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

static void
progress_begin(struct job *j)
{
	j->bytes = j->kept = 0;
	j->shown = 0;
	clock_gettime(CLOCK_MONOTONIC, &j->begun);
}

/* On a terminal one line that changes; elsewhere a line for every tenth. */
static void
progress(struct job *j, const char *what)
{
	double seconds = seconds_since(&j->begun), rate = seconds > 0 ? mib(j->bytes) / seconds : 0;
	unsigned percent = j->total != 0 ? (unsigned)(j->bytes * 100 / j->total) : 0;

	if (isatty(STDERR_FILENO) && j->total != 0 && rate > 0)
		fprintf(stderr, "\r%s %3u%%  %.0f of %.0f MiB, %.0f MiB/s, %.0f s left \033[K", what, percent,
		    mib(j->bytes), mib(j->total), rate, mib(j->total - j->bytes) / rate);
	else if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s %.0f MiB, %.0f MiB/s \033[K", what, mib(j->bytes), rate);
	else if (percent / QUIET_STEP > j->shown / QUIET_STEP)
		fprintf(stderr, "%s %u%%\n", what, percent);
	j->shown = percent;
}

static void
progress_end(const struct job *j, const char *what)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	fprintf(stderr, "%s: %.0f MiB in %.0f s", what, mib(j->bytes), seconds_since(&j->begun));
	if (j->kept != 0)
		fprintf(stderr, ", %.0f of them empty and empty on the disk before", mib(j->kept));
	fputc('\n', stderr);
}

/* ---- writing, verifying -------------------------------------------------- */

/* The next bytes of the image, padded to whole sectors; size 0 at its end. */
static bool
next_chunk(struct job *j, size_t *size)
{
	if (interrupted)
		return because(reason, "interrupted; what is on %s now is not a system", j->target.path);
	if (!source_read(&j->source, chunk, size, reason))
		return false;
	while (*size % SECTOR != 0)
		chunk[(*size)++] = 0;
	if (j->bytes + *size > j->target.bytes)
		return because(reason, "%s: the image is larger than %s (%.0f MiB)", j->source.path, j->target.path,
		    mib(j->target.bytes));
	return true;
}

static bool
write_chunk(struct job *j, size_t size)
{
	if (!all_zero(chunk, size))
		return target_write(&j->target, j->bytes, chunk, size, reason);
	if (!target_read(&j->target, j->bytes, there, size, reason))
		return false;
	if (!all_zero(there, size))
		return target_write(&j->target, j->bytes, chunk, size, reason);
	j->kept += size;
	return true;
}

static bool
compare_chunk(struct job *j, size_t size)
{
	if (!target_read(&j->target, j->bytes, there, size, reason))
		return false;
	for (size_t i = 0; i < size; i++)
		if (chunk[i] != there[i])
			return because(reason, "%s: byte %llu is not what was written: do not trust this disk",
			    j->target.path, (unsigned long long)(j->bytes + i));
	return true;
}

/* The first chunk is in memory already when writing begins: it was looked at. */
static bool
all_chunks(struct job *j, const char *what, bool (*each)(struct job *, size_t), size_t size)
{
	progress_begin(j);
	while (size != 0) {
		if (!each(j, size))
			return false;
		j->bytes += size;
		progress(j, what);
		if (!next_chunk(j, &size))
			return false;
	}
	j->total = j->bytes;
	return source_close(&j->source, reason);
}

/* A copy of an old partition table at the disk's end would come back if ours were damaged. */
static bool
clear_tail(struct job *j)
{
	memset(chunk, 0, TAIL);
	return j->target.bytes < j->total + TAIL ||
	    target_write(&j->target, j->target.bytes - TAIL, chunk, TAIL, reason);
}

static bool
verify(struct job *j)
{
	size_t size;

	if (!source_open(&j->source, j->source.path, reason))
		return false;
	progress_begin(j);
	return next_chunk(j, &size) && all_chunks(j, "verifying", compare_chunk, size);
}

/* ---- is it what the user means ------------------------------------------- */

static bool
check_target(const struct job *j)
{
	const struct target *t = &j->target;

	if (j->source.bytes > t->bytes)
		return because(reason, "%s has %.0f MiB, the image needs %.0f", t->path, mib(t->bytes),
		    mib(j->source.bytes));
	if (t->users[0] != '\0' && !j->force)
		return because(reason, "%s is in use: %s (FORCE=1 writes nevertheless)", t->path, t->users);
	if (!t->removable && !j->force)
		return because(reason, "%s (%s) cannot be taken out: it may be this machine's own disk "
		    "(FORCE=1 writes nevertheless)", t->path, t->model);
	return true;
}

/* UEFI 2.10 5.3.2: the second block of a disk with partitions. */
static bool
check_image(const struct job *j, size_t size)
{
	if (size >= SECTOR + 8 && memcmp(chunk + SECTOR, "EFI PART", 8) == 0)
		return true;
	return because(reason, "%s: is no image of a disk: it has no partition table", j->source.path);
}

static bool
ask(const struct job *j)
{
	char answer[NAME] = "";

	printf("image  %s, %.0f MiB\ndisk   %s, %s, %.1f GB%s%s\n", j->source.path, mib(j->source.bytes), j->target.path,
	    j->target.model, (double)j->target.bytes / 1e9, j->target.users[0] != '\0' ? ", " : "", j->target.users);
	if (j->yes)
		return true;
	printf("All that is on this disk will be lost.  To go on, type its name (%s): ", j->target.name);
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) == NULL)
		putchar('\n');
	answer[strcspn(answer, "\n")] = '\0';
	return strcmp(answer, j->target.name) == 0 || because(reason, "nothing was written");
}

static bool
flash(struct job *j)
{
	size_t size;

	if (!check_target(j) || !next_chunk(j, &size) || !check_image(j, size) || !ask(j) ||
	    !target_open(&j->target, j->force, reason))
		return false;
	j->total = j->source.bytes;
	if (!all_chunks(j, "writing", write_chunk, size) || !clear_tail(j) || !target_settle(&j->target, reason))
		return false;
	progress_end(j, "written");
	if (!verify(j))
		return false;
	progress_end(j, "verified");
	return true;
}

/* ---- the command line ---------------------------------------------------- */

static int
usage(void)
{
	fprintf(stderr, "usage: flash [-f] [-y] IMAGE DISK\n");
	return EXIT_USAGE;
}

static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

int
flash_main(int argc, char **argv)
{
	static struct job j;
	char ignored[REASON];
	bool good;
	int option;

	while ((option = getopt(argc, argv, "fy")) != -1) {
		j.force |= option == 'f';
		j.yes |= option == 'y';
		if (option == '?')
			return usage();
	}
	if (argc - optind != 2)
		return usage();
	if (!target_look(&j.target, argv[optind + 1], reason) || !source_open(&j.source, argv[optind], reason))
		return failed();
	catch_signals();
	good = flash(&j);
	/* Who still unpacks gets a closed pipe. */
	source_close(&j.source, ignored);
	target_close(&j.target);
	return good ? EXIT_SUCCESS : failed();
}

#ifndef HOST_TEST
int
main(int argc, char **argv)
{
	return flash_main(argc, argv);
}
#endif
