/* SPDX-License-Identifier: MIT */
/*
 * Many requests in progress at once, on a small journal and with little memory:
 * no order is promised and none is checked, but each request is answered, the
 * answers are possible ones, and e2fsck finds nothing in the end.
 */
#include <check.h>
#include "rig.h"

enum { JOBS = 48, DIRS = 6, REFS = 400, STEPS = 6000 };

static struct rig rig;
static struct ref dirs[DIRS], refs[REFS];
static struct fs_job *jobs[JOBS];
static unsigned counts[128], answered, refused;

static void
name_in(struct fs_job *job, size_t at)
{
	sprintf((char *)job->page + at, "some-name-%u", (unsigned)(rig_random(&rig) % 300));
}

static struct ref *
some_ref(void)
{
	return &refs[rig_random(&rig) % REFS];
}

static void
fill(struct fs_job *job)
{
	static const uint32_t ops[] = { FS_CREATE, FS_CREATE, FS_CREATE, FS_LINK, FS_UNLINK, FS_UNLINK, FS_RENAME,
		FS_WRITE, FS_WRITE, FS_WRITE, FS_READ, FS_SETATTR, FS_FALLOCATE, FS_FSYNC, FS_READDIR, FS_LOOKUP,
		FS_SETXATTR, FS_GETXATTR, FS_EVICT, FS_EXTENTS, FS_SYNC, FS_STATFS, FS_SEEK };
	struct fs_request *r = &job->request;
	struct ref *ref = some_ref();
	uint8_t *page = job->page;

	memset(r, 0, sizeof *r);
	r->op = ops[rig_random(&rig) % (sizeof ops / sizeof ops[0])];
	rig.clock += 3000000;
	r->now.seconds = r->mtime.seconds = (int64_t)(rig.clock / 1000000000);
	r->sequence = ++rig.sequence;
	if (r->op < FS_GETATTR && r->op >= FS_LOOKUP)
		ref = &dirs[rig_random(&rig) % DIRS];
	r->inode = ref->inode;
	r->generation = ref->generation;
	memset(page, 0, 600);
	name_in(job, 0);
	switch (r->op) {
	case FS_CREATE:
		r->mode = 0100600;
		break;
	case FS_LINK:
		ref = some_ref();
		r->inode2 = ref->inode;
		r->generation2 = ref->generation;
		break;
	case FS_RENAME:
		ref = &dirs[rig_random(&rig) % DIRS];
		r->inode2 = ref->inode;
		r->generation2 = ref->generation;
		name_in(job, strlen((char *)page) + 1);
		r->flags = rig_random(&rig) % 8 == 0 ? 2 : 0;
		break;
	case FS_WRITE:
	case FS_READ:
		r->offset = rig_random(&rig) % 60 * 4096;
		r->length = 4096 * (1 + rig_random(&rig) % 16);
		r->size = r->offset + r->length;
		r->segments = 1;
		r->segment[0] = (struct fs_segment){ rig_random(&rig) % 64 * 4096, (uint32_t)r->length, 0 };
		if (r->op == FS_WRITE && rig_random(&rig) % 4 == 0)
			r->flags = FS_STABLE | (rig_random(&rig) % 2 == 0 ? FS_DATASYNC : 0);
		break;
	case FS_SETATTR:
		r->valid = FS_SET_SIZE;
		r->size = rig_random(&rig) % 300000;
		break;
	case FS_FALLOCATE:
		r->flags = rig_random(&rig) % 2 ? 3 : 0;
		r->offset = rig_random(&rig) % 200000;
		r->length = 1 + rig_random(&rig) % 100000;
		break;
	case FS_SETXATTR:
		strcpy((char *)page, "user.a");
		r->length = rig_random(&rig) % 500;
		break;
	case FS_GETXATTR:
		strcpy((char *)page, "user.a");
		break;
	case FS_SEEK:
		r->flags = 3 + rig_random(&rig) % 2;
		break;
	default:
		break;
	}
}

static void
take(struct fs_job *job)
{
	static const int allowed[] = { 0, -EEXIST, -ENOENT, -ESTALE, -ENOSPC, -ENODATA, -EINVAL, -ENXIO, -EMLINK, -ENODEV };
	int64_t result = job->answer.result;
	bool ok = result > 0;

	for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
		ok = ok || result == allowed[i];
	if (!ok)
		printf("  operation %u: %lld\n", job->request.op, (long long)result);
	CHECK(ok);
	counts[job->request.op]++;
	answered++;
	refused += result < 0;
	if (job->request.op == FS_CREATE && result == 0)
		*some_ref() = (struct ref){ job->answer.attributes.inode, job->answer.attributes.generation };
	fs_answered(rig.fs, job);
}

/* Nothing is at the disk, and nothing is answered. */
static void
__attribute__((noinline)) stuck(void)
{
	printf("  nothing goes on; in progress are operations");
	for (unsigned i = 0; i < JOBS; i++)
		if (jobs[i]->request.op != 0 && !jobs[i]->finished)
			printf(" %u", jobs[i]->request.op);
	printf("\n");
}

static void
play(const char *shape, uint64_t bytes, uint64_t seed)
{
	unsigned started = 0, idle;

	rig_make(&rig, bytes, shape);
	rig.seed = seed;
	rig.shuffle = true;
	rig.options.cache_bytes = 1 << 19;
	CHECK(rig_mount(&rig, 0) == 0);
	for (unsigned i = 0; i < DIRS; i++) {
		char name[16];

		sprintf(name, "dir%u", i);
		CHECK(rig_create(&rig, rig_root(&rig), name, 040755, NULL, &dirs[i]) == 0);
	}
	memset(refs, 0, sizeof refs);
	for (unsigned i = 0; i < JOBS; i++)
		jobs[i] = rig_job(&rig, 0);
	while (started < STEPS && check_ok) {
		for (unsigned i = 0; i < JOBS; i++)
			if (jobs[i]->request.op == 0 && started < STEPS) {
				fill(jobs[i]);
				fs_submit(rig.fs, jobs[i]);
				started++;
			}
		for (idle = 0; idle < 3;) {
			fs_run(rig.fs);
			idle += !rig_poll(&rig.disk);
			if (idle == 3) {
				stuck();
				CHECK(idle != 3);
			}
			for (unsigned i = 0; i < JOBS; i++)
				if (jobs[i]->request.op != 0 && jobs[i]->finished) {
					take(jobs[i]);
					jobs[i]->request.op = 0;
					idle = 3;
				}
		}
	}
	rig_settle(&rig);
	for (unsigned i = 0; i < JOBS; i++) {
		if (jobs[i]->request.op != 0) {
			CHECK(jobs[i]->finished);
			take(jobs[i]);
		}
		rig_job_free(jobs[i]);
	}
	CHECK(!fs_read_only(rig.fs));
	{
		struct fs_job *job = rig_job(&rig, FS_UNMOUNT);

		job->request.flags = FS_UNMOUNT_FORCE;
		CHECK(rig_call(&rig, job) == 0);
		rig_job_free(job);
	}
	CHECK(rig_clean(&rig));
	CHECK(!rig.illegal);
	if (!check_ok)
		printf("%s", rig.said);
	rig_free(&rig);
}

static void
many_at_once_are_served(void)
{
	unsigned rounds = getenv("ROUNDS") != NULL ? (unsigned)atoi(getenv("ROUNDS")) : 1;

	for (unsigned i = 0; i < rounds && check_ok; i++) {
		play("-b 1024 -J size=1", 24 << 20, 77 + i);
		play("-b 4096 -J size=4", 32 << 20, 1234 + i);
		play("-b 1024 -J size=1 -O ^metadata_csum", 8 << 20, 99 + i);
	}
	printf("  %u requests, %u of them refused\n", answered, refused);
	CHECK(refused < answered / 2);
}

int
main(void)
{
	RUN(many_at_once_are_served);
	CHECK_END();
}
