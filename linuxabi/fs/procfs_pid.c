/* SPDX-License-Identifier: MIT */
/*
 * /proc/<pid> and /proc/<pid>/task/<tid>, in Linux's formats (proc(5)).
 *
 * Names of processes are never cached: each lookup asks, makes an inode that
 * remembers the numbers, and each access finds the task again by them.
 */
#include <linux/auxvec.h>
#include <linux/resource.h>
#include "internal.h"

enum { HZ = 100, FD_POS = 2 };

struct pid_entry {
	const char *name;
	uint32_t mode;			/* with its type */
	bool per_task;			/* in task/<tid>, too */
	bool secret;			/* only for who may trace the process */
	long (*show)(struct seq *, struct task *);
	long (*store)(const char *, size_t, struct task *);
	long (*follow)(struct task *, struct path *);
};

/* An inode's private_: first the text, for proc_text_ops. */
struct pid_inode {
	struct proc_text text;
	const struct pid_entry *entry;	/* NULL: the process's directory */
	int pid, tid;
	int fd;				/* fd/N, fdinfo/N; -1 */
	bool in_task;			/* below task/<tid> */
};

static const struct inode_ops pid_dir_ops, link_ops, fd_link_ops, fd_dir_ops, fdinfo_dir_ops, task_dir_ops, text_ops;
static const struct file_ops pid_dir_fops, fd_dir_fops, fdinfo_dir_fops, task_dir_fops;
static const struct pid_entry entries[];
static const struct pid_entry fdinfo_entry, fd_entry;

/* ---- the task behind an inode ---- */

static struct task *
inode_task(const struct pid_inode *pi)
{
	struct task *t = task_find(pi->tid);

	if (t != NULL && (t->process == NULL || t->process->pid != pi->pid)) {
		task_put(t);
		return NULL;
	}
	return t;
}

/* ptrace(2), access mode READ. */
static bool
may_look(struct task *t)
{
	const struct cred *c = current->cred, *o;
	bool ok;

	if (t == current || t->process == current->process || capable(CAP_SYS_PTRACE))
		return true;
	read_begin();
	o = READ_ONCE(t->cred);
	ok = c->fsuid == o->euid && c->fsuid == o->suid && c->fsuid == o->uid &&
	    c->fsgid == o->egid && c->fsgid == o->sgid && c->fsgid == o->gid;
	read_end();
	return ok;
}

static long
text_show(struct seq *s, void *arg)
{
	const struct pid_inode *pi = arg;
	struct task *t = inode_task(pi);
	long r = -ESRCH;

	if (t == NULL)
		return r;
	r = pi->entry->secret && !may_look(t) ? -EACCES : pi->entry->show(s, t);
	task_put(t);
	return r;
}

static long
text_store(const char *text, size_t n, void *arg)
{
	const struct pid_inode *pi = arg;
	struct task *t = inode_task(pi);
	long r = -ESRCH;

	if (t == NULL)
		return r;
	r = !may_look(t) ? -EACCES : pi->entry->store(text, n, t);
	task_put(t);
	return r;
}

/* Part of the inode number: 0 for the directory, 63 for the files of fd and fdinfo. */
static uint64_t entry_index(const struct pid_entry *);

static struct inode *
pid_inode_new(const struct pid_entry *e, struct task *t, int fd, bool in_task, uint32_t mode,
    const struct inode_ops *ops, const struct file_ops *fops)
{
	struct pid_inode *pi = kzalloc(sizeof(*pi));
	uint64_t index = entry_index(e);
	struct inode *i;
	struct cred *c;

	if (pi == NULL)
		return NULL;
	pi->entry = e;
	pi->pid = t->process->pid;
	pi->tid = t->tid;
	pi->fd = fd;
	pi->in_task = in_task;
	if (e != NULL && e->show != NULL)
		pi->text.show = text_show;
	if (e != NULL && e->store != NULL)
		pi->text.store = text_store;
	pi->text.arg = pi;
	i = proc_inode(mode, (uint64_t)t->tid << 28 | (uint64_t)in_task << 27 | (uint64_t)(fd + 1) << 6 | index, ops, fops, pi);
	if (i == NULL) {
		kfree(pi);
		return NULL;
	}
	c = cred_of_task(t);
	i->uid = c->euid;
	i->gid = c->egid;
	cred_put(c);
	if (is_type(i, S_IFLNK))
		i->size = 64;
	return i;
}

static void
pid_evict(struct inode *i)
{
	grace_free(i->private_, NULL);
}

static long
instantiate(struct dentry *d, struct inode *i)
{
	if (i == NULL)
		return -ENOMEM;
	dentry_instantiate(d, i);
	return 0;
}

/* ---- states and times ---- */

static unsigned long ticks(uint64_t ns) { return (unsigned long)(ns / (1000000000 / HZ)); }

static char
state_of(const struct task *t)
{
	if (t->process->leader == t && t->process->zombie)
		return 'Z';
	switch (READ_ONCE(t->state)) {
	case TASK_RUNNING:
		return 'R';
	case TASK_INTERRUPTIBLE:
		return 'S';
	case TASK_STOPPED:
		return 'T';
	case TASK_DEAD:
		return 'Z';
	default:
		return 'D';
	}
}

static const char *
state_name(char c)
{
	switch (c) {
	case 'R': return "R (running)";
	case 'S': return "S (sleeping)";
	case 'T': return "T (stopped)";
	case 'Z': return "Z (zombie)";
	default: return "D (disk sleep)";
	}
}

/* What has to be read together. */
struct snapshot {
	int ppid, pgid, sid, tty, tpgid, threads, exit_code;
	struct usage own, children;
	uint64_t rss, vsize;
};

static void
snapshot_get(struct task *t, struct snapshot *sn)
{
	struct process *p = t->process;
	struct mm *mm = mm_of_task(t);
	struct tty *tty;
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	memset(sn, 0, sizeof(*sn));
	sn->ppid = p->parent != NULL ? p->parent->pid : 0;
	sn->pgid = p->pgid;
	sn->sid = p->sid;
	sn->threads = (int)p->thread_count;
	sn->exit_code = p->exit_code;
	sn->children = p->children_usage;
	tty = p->tty;
	if (tty != NULL)
		tty_get(tty);
	spin_unlock_irqrestore(&tasklist_lock, flags);
	sn->tpgid = -1;
	if (tty != NULL) {
		uint64_t dev = tty_dev(tty);

		/* The old encoding of a device number that stat uses. */
		sn->tty = (int)(((dev >> 8 & 0xfff) << 8) | (dev & 0xff) | ((dev >> 12 & 0xfff00) << 12));
		sn->tpgid = tty_foreground_group(tty);
		tty_put(tty);
	}
	if (mm != NULL) {
		sn->rss = mm->rss_anon + mm->rss_file;
		sn->vsize = mm->total_pages << PAGE_SHIFT;
		mm_put(mm);
	}
}

static sigmask_t
actions_with(struct task *t, uint64_t handler)
{
	struct sighand *h = t->process->sighand;
	sigmask_t set = 0;
	uint64_t flags;

	if (h == NULL)
		return 0;
	flags = spin_lock_irqsave(&h->lock);
	for (int sig = 1; sig <= NSIG_; sig++) {
		uint64_t a = h->action[sig - 1].handler;

		if (handler == 1 ? a == 1 : a > 1)
			set |= SIGMASK(sig);
	}
	spin_unlock_irqrestore(&h->lock, flags);
	return set;
}

static long
print_stat(struct seq *s, struct task *t, bool whole)
{
	struct process *p = t->process;
	struct snapshot sn;
	struct mm *mm;
	uaddr_t start_stack = 0, arg_start = 0, arg_end = 0, env_start = 0, env_end = 0, brk = 0;
	bool look = may_look(t);
	struct usage *u = &sn.own;

	snapshot_get(t, &sn);
	if (whole)
		usage_process(p, u);
	else
		usage_task(t, u);
	mm = mm_of_task(t);
	if (mm != NULL) {
		if (look) {
			start_stack = mm->stack_start;
			arg_start = mm->arg_start;
			arg_end = mm->arg_end;
			env_start = mm->env_start;
			env_end = mm->env_end;
			brk = mm->brk_start;
		}
		mm_put(mm);
	}
	seq_printf(s, "%d (%s) %c %d %d %d %d %d %u ", whole ? p->pid : t->tid, t->comm, state_of(t), sn.ppid, sn.pgid,
	    sn.sid, sn.tty, sn.tpgid, t->kernel_thread ? 0x200000u : 0x400000u);
	seq_printf(s, "%lu %lu %lu %lu %lu %lu %ld %ld ", (unsigned long)u->minflt, (unsigned long)sn.children.minflt,
	    (unsigned long)u->majflt, (unsigned long)sn.children.majflt, ticks(u->user_ns), ticks(u->system_ns),
	    (long)ticks(sn.children.user_ns), (long)ticks(sn.children.system_ns));
	seq_printf(s, "%d %d %d 0 %lu %lu %lu ", t->policy == 1 || t->policy == 2 ? -1 - t->rt_priority : 20 + t->nice,
	    t->nice, sn.threads, ticks(whole ? p->start_ns : t->start_ns), (unsigned long)sn.vsize, (unsigned long)sn.rss);
	seq_printf(s, "%lu 0 0 %lu 0 0 ", (unsigned long)p->rlimit_cur[RLIMIT_RSS], (unsigned long)start_stack);
	seq_printf(s, "%lu %lu %lu %lu 0 0 0 ", (unsigned long)(t->pending.set & INT32_MAX), (unsigned long)(t->blocked & INT32_MAX),
	    (unsigned long)(actions_with(t, 1) & INT32_MAX), (unsigned long)(actions_with(t, 2) & INT32_MAX));
	seq_printf(s, "%d %u %d %d 0 0 0 ", p->exit_signal, t->cpu, t->rt_priority, t->policy);
	seq_printf(s, "0 0 %lu %lu %lu %lu %lu %d\n", (unsigned long)brk, (unsigned long)arg_start, (unsigned long)arg_end,
	    (unsigned long)env_start, (unsigned long)env_end, look ? sn.exit_code : 0);
	return 0;
}

static long show_stat(struct seq *s, struct task *t) { return print_stat(s, t, t->process->leader == t); }

static long
show_statm(struct seq *s, struct task *t)
{
	struct mm *mm = mm_of_task(t);

	if (mm == NULL) {
		seq_printf(s, "0 0 0 0 0 0 0\n");
		return 0;
	}
	seq_printf(s, "%lu %lu %lu 0 0 %lu 0\n", (unsigned long)mm->total_pages, (unsigned long)(mm->rss_anon + mm->rss_file),
	    (unsigned long)mm->rss_file, (unsigned long)mm->total_pages);
	mm_put(mm);
	return 0;
}

static void
print_mask(struct seq *s, const char *name, uint64_t v)
{
	seq_printf(s, "%s:\t%016lx\n", name, (unsigned long)v);
}

static void
status_memory(struct seq *s, struct mm *mm)
{
	const struct { const char *name; uint64_t kib; } lines[] = {
		{ "VmPeak", mm->total_pages * 4 }, { "VmSize", mm->total_pages * 4 }, { "VmLck", mm->locked_pages * 4 },
		{ "VmPin", 0 }, { "VmHWM", mm->hiwater_rss * 4 }, { "VmRSS", (mm->rss_anon + mm->rss_file) * 4 },
		{ "RssAnon", mm->rss_anon * 4 }, { "RssFile", mm->rss_file * 4 }, { "RssShmem", 0 },
		{ "VmData", mm->total_pages * 4 }, { "VmStk", 132 }, { "VmExe", 0 }, { "VmLib", 0 },
		{ "VmPTE", mm->table_pages * 4 }, { "VmSwap", 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(lines); i++)
		seq_printf(s, "%s:\t%8lu kB\n", lines[i].name, (unsigned long)lines[i].kib);
}

static unsigned
fd_slots(struct task *t)
{
	struct files *fs = files_of(t);
	unsigned n = 0;

	if (fs != NULL) {
		n = fs->size;
		files_put(fs);
	}
	return n;
}

static void
status_ids(struct seq *s, struct task *t, const struct cred *c)
{
	seq_printf(s, "Uid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid);
	seq_printf(s, "Gid:\t%u\t%u\t%u\t%u\n", c->gid, c->egid, c->sgid, c->fsgid);
	seq_printf(s, "FDSize:\t%u\nGroups:\t", fd_slots(t));
	for (uint32_t i = 0; i < c->ngroups && i < ARRAY_LEN(c->groups); i++)
		seq_printf(s, "%u ", c->groups[i]);
	seq_char(s, '\n');
}

static long
show_status(struct seq *s, struct task *t)
{
	struct process *p = t->process;
	struct fs_context *fs = fs_context_of(t);
	struct mm *mm = mm_of_task(t);
	struct cred *c = cred_of_task(t);
	struct snapshot sn;
	struct usage u;

	snapshot_get(t, &sn);
	usage_task(t, &u);
	seq_printf(s, "Name:\t%s\n", t->comm);
	if (fs != NULL) {
		seq_printf(s, "Umask:\t%04o\n", fs->umask);
		fs_context_put(fs);
	}
	seq_printf(s, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", state_name(state_of(t)),
	    p->pid, t->tid, sn.ppid);
	status_ids(s, t, c);
	if (mm != NULL) {
		status_memory(s, mm);
		mm_put(mm);
	}
	seq_printf(s, "Threads:\t%d\nSigQ:\t0/%lu\n", sn.threads, (unsigned long)p->rlimit_cur[RLIMIT_SIGPENDING]);
	print_mask(s, "SigPnd", t->pending.set);
	print_mask(s, "ShdPnd", p->shared_pending.set);
	print_mask(s, "SigBlk", t->blocked);
	print_mask(s, "SigIgn", actions_with(t, 1));
	print_mask(s, "SigCgt", actions_with(t, 2));
	print_mask(s, "CapInh", c->cap_inheritable);
	print_mask(s, "CapPrm", c->cap_permitted);
	print_mask(s, "CapEff", c->cap_effective);
	print_mask(s, "CapBnd", c->cap_bounding);
	print_mask(s, "CapAmb", c->cap_ambient);
	seq_printf(s, "NoNewPrivs:\t%d\nSeccomp:\t0\n", c->no_new_privs);
	seq_printf(s, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t0-%u\n",
	    (unsigned long)(t->affinity & ((1UL << cpu_count()) - 1)), cpu_count() - 1);
	seq_printf(s, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n", (unsigned long)u.nvcsw,
	    (unsigned long)u.nivcsw);
	cred_put(c);
	return 0;
}

/* ---- strings of the address space ---- */

enum { AREA_MAX = 1 << 20 };

static long
print_area(struct seq *s, struct mm *mm, uaddr_t start, uaddr_t end)
{
	char *page = path_page_get();

	if (page == NULL)
		return -ENOMEM;
	end = min(end, start + AREA_MAX);
	while (start < end) {
		ssize_t n = mm_access(mm, start, page, min((size_t)(end - start), (size_t)PATH_MAX_), false);

		if (n <= 0)
			break;
		seq_write(s, page, (size_t)n);
		start += (uint64_t)n;
	}
	path_page_put(page);
	return 0;
}

static long
show_cmdline(struct seq *s, struct task *t)
{
	struct mm *mm = mm_of_task(t);
	long r = 0;

	if (mm == NULL)
		return 0;
	if (mm->arg_end > mm->arg_start)
		r = print_area(s, mm, mm->arg_start, mm->arg_end);
	mm_put(mm);
	return r;
}

static long
show_environ(struct seq *s, struct task *t)
{
	struct mm *mm = mm_of_task(t);
	long r = 0;

	if (mm == NULL)
		return 0;
	if (mm->env_end > mm->env_start)
		r = print_area(s, mm, mm->env_start, mm->env_end);
	mm_put(mm);
	return r;
}

static long
show_auxv(struct seq *s, struct task *t)
{
	struct mm *mm = mm_of_task(t);

	if (mm == NULL)
		return 0;
	for (unsigned i = 0; i + 1 < ARRAY_LEN(mm->auxv); i += 2) {
		seq_write(s, &mm->auxv[i], 2 * sizeof(uint64_t));
		if (mm->auxv[i] == AT_NULL)
			break;
	}
	mm_put(mm);
	return 0;
}

static long
show_comm(struct seq *s, struct task *t)
{
	seq_printf(s, "%s\n", t->comm);
	return 0;
}

static long
store_comm(const char *text, size_t n, struct task *t)
{
	if (t->process != current->process)
		return -EINVAL;
	strlcpy(t->comm, text, sizeof(t->comm));
	n = strlen(t->comm);
	if (n > 0 && t->comm[n - 1] == '\n')
		t->comm[n - 1] = '\0';
	return 0;
}

/* ---- maps ---- */

static void
print_spaces(struct seq *s, size_t from, size_t column)
{
	while (s->len - from < column && !s->full)
		seq_char(s, ' ');
}

static void
print_vma_name(struct seq *s, const struct vma *v, size_t line, char *page)
{
	const char *text = v->name;

	if (v->file != NULL && v->file->path.dentry != NULL) {
		text = path_text(&v->file->path, page, PATH_MAX_, true);
		if (IS_ERR(text))
			text = NULL;
	}
	if (text == NULL)
		return;
	print_spaces(s, line, 73);
	for (; *text != '\0'; text++)
		if (*text == '\n')
			seq_printf(s, "\\012");
		else
			seq_char(s, *text);
}

static void
print_vma(struct seq *s, const struct vma *v, char *page)
{
	struct inode *i = v->file != NULL ? v->file->inode : NULL;
	uint64_t dev = i != NULL ? i->sb->dev : 0;
	size_t line = s->len;

	seq_printf(s, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu", (unsigned long)v->start, (unsigned long)v->end,
	    v->flags & VMA_READ ? 'r' : '-', v->flags & VMA_WRITE ? 'w' : '-', v->flags & VMA_EXEC ? 'x' : '-',
	    v->flags & VMA_SHARED ? 's' : 'p', i != NULL ? (unsigned long)(v->pgoff << PAGE_SHIFT) : 0UL,
	    (unsigned)(dev >> 8 & 0xfff), (unsigned)(dev & 0xff), i != NULL ? (unsigned long)i->ino : 0UL);
	if (s->full)
		return;
	seq_char(s, ' ');
	print_vma_name(s, v, line, page);
	seq_char(s, '\n');
}

static void
count_present(void *arg, uaddr_t addr, struct pte *e)
{
	(void)addr;
	if (e->flags != 0)
		++*(unsigned long *)arg;
}

static void
print_smap(struct seq *s, struct mm *mm, struct vma *v)
{
	unsigned long pages = 0, size = (unsigned long)((v->end - v->start) >> 10);

	pgtable_walk(mm, v->start, v->end, count_present, &pages);
	seq_printf(s, "Size:           %8lu kB\nKernelPageSize: %8u kB\nMMUPageSize:    %8u kB\nRss:            %8lu kB\n",
	    size, 4, 4, pages * 4);
	seq_printf(s, "Pss:            %8lu kB\nSwap:           %8u kB\n", pages * 4, 0);
}

static long
print_maps(struct seq *s, struct task *t, bool smaps)
{
	struct mm *mm = mm_of_task(t);
	char *page;

	if (mm == NULL)
		return 0;
	page = path_page_get();
	if (page == NULL) {
		mm_put(mm);
		return -ENOMEM;
	}
	mutex_lock(&mm->lock);
	for (struct vma *v = vma_first(mm); v != NULL; v = vma_next(mm, v)) {
		print_vma(s, v, page);
		if (smaps)
			print_smap(s, mm, v);
	}
	mutex_unlock(&mm->lock);
	path_page_put(page);
	mm_put(mm);
	return 0;
}

static long show_maps(struct seq *s, struct task *t) { return print_maps(s, t, false); }
static long show_smaps(struct seq *s, struct task *t) { return print_maps(s, t, true); }

/* ---- small ones ---- */

static long
show_limits(struct seq *s, struct task *t)
{
	static const struct { const char *name, *unit; unsigned resource; } lines[] = {
		{ "Max cpu time", "seconds", RLIMIT_CPU }, { "Max file size", "bytes", RLIMIT_FSIZE },
		{ "Max data size", "bytes", RLIMIT_DATA }, { "Max stack size", "bytes", RLIMIT_STACK },
		{ "Max core file size", "bytes", RLIMIT_CORE }, { "Max resident set", "bytes", RLIMIT_RSS },
		{ "Max processes", "processes", RLIMIT_NPROC }, { "Max open files", "files", RLIMIT_NOFILE },
		{ "Max locked memory", "bytes", RLIMIT_MEMLOCK }, { "Max address space", "bytes", RLIMIT_AS },
		{ "Max file locks", "locks", RLIMIT_LOCKS }, { "Max pending signals", "signals", RLIMIT_SIGPENDING },
		{ "Max msgqueue size", "bytes", RLIMIT_MSGQUEUE }, { "Max nice priority", "", RLIMIT_NICE },
		{ "Max realtime priority", "", RLIMIT_RTPRIO }, { "Max realtime timeout", "us", RLIMIT_RTTIME },
	};

	seq_printf(s, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
		uint64_t v[2] = { t->process->rlimit_cur[lines[i].resource], t->process->rlimit_max[lines[i].resource] };

		seq_printf(s, "%-25s", lines[i].name);
		for (int n = 0; n < 2; n++)
			if (v[n] == UINT64_MAX)
				seq_printf(s, " %-20s", "unlimited");
			else
				seq_printf(s, " %-20lu", (unsigned long)v[n]);
		seq_printf(s, " %-10s\n", lines[i].unit);
	}
	return 0;
}

static long
show_cgroup(struct seq *s, struct task *t)
{
	(void)t;
	seq_printf(s, "0::/\n");
	return 0;
}

static long
show_wchan(struct seq *s, struct task *t)
{
	(void)t;
	seq_char(s, '0');
	return 0;
}

static long
show_oom_score_adj(struct seq *s, struct task *t)
{
	seq_printf(s, "%d\n", t->process->oom_score_adj);
	return 0;
}

static long
store_oom_score_adj(const char *text, size_t n, struct task *t)
{
	bool minus = *text == '-';
	int v = 0;

	(void)n;
	for (text += minus; *text >= '0' && *text <= '9' && v <= 10000; text++)
		v = v * 10 + (*text - '0');
	if ((*text != '\0' && *text != '\n') || v > 1000)
		return -EINVAL;
	v = minus ? -v : v;
	if (v < t->process->oom_score_adj && !capable(CAP_SYS_RESOURCE))
		return -EACCES;
	t->process->oom_score_adj = v;
	return 0;
}

static long
show_oom_score(struct seq *s, struct task *t)
{
	struct mm *mm = mm_of_task(t);
	uint64_t rss = 0;
	long score;

	if (mm != NULL) {
		rss = mm->rss_anon + mm->rss_file;
		mm_put(mm);
	}
	score = (long)(rss * 1000 / max(pages_total(), (uint64_t)1)) + t->process->oom_score_adj;
	seq_printf(s, "%ld\n", max(score, 0L));
	return 0;
}

static long
show_stat_sched(struct seq *s, struct task *t)
{
	struct usage u;

	usage_task(t, &u);
	seq_printf(s, "%lu 0 %lu\n", (unsigned long)(u.user_ns + u.system_ns), (unsigned long)(u.nvcsw + u.nivcsw));
	return 0;
}

/* ---- mounts ---- */

static bool
mount_text(struct mount *m, char *page, const char **text)
{
	struct path p = { m, m->root };

	*text = path_text(&p, page, PATH_MAX_, false);
	return !IS_ERR(*text);
}

/* What a name such as /dev/root stands for, as soon as the device is there. */
static void
mount_source(struct seq *s, const struct mount *m)
{
	uint64_t dev = __atomic_load_n(&m->sb->dev, __ATOMIC_ACQUIRE);	/* the name was written before */

	if (dev >> 8 == 0 || m->sb->device[0] == '\0') {
		seq_escape(s, m->source);
		return;
	}
	seq_printf(s, "/dev/");
	seq_escape(s, m->sb->device);
}

static long
show_mounts(struct seq *s, struct task *t)
{
	char *page = path_page_get(), opts[256];
	const char *text;
	struct mount *m;

	(void)t;
	if (page == NULL)
		return -ENOMEM;
	for (unsigned n = 0; (m = mount_nth(n)) != NULL; n++) {
		if (mount_text(m, page, &text)) {
			mount_source(s, m);
			seq_char(s, ' ');
			seq_escape(s, text);
			mount_options_text(m, opts, sizeof(opts), true);
			seq_printf(s, " %s %s 0 0\n", m->parent == NULL && n == 0 && strcmp(m->source, "rootfs") == 0 ? "rootfs"
			    : m->sb->type->name, opts);
		}
		mount_put(m);
	}
	path_page_put(page);
	return 0;
}

static long
show_mountinfo(struct seq *s, struct task *t)
{
	char *page = path_page_get(), opts[256];
	const char *text;
	struct mount *m;

	(void)t;
	if (page == NULL)
		return -ENOMEM;
	for (unsigned n = 0; (m = mount_nth(n)) != NULL; n++) {
		if (mount_text(m, page, &text)) {
			seq_printf(s, "%d %d %u:%u / ", m->id, m->parent != NULL ? m->parent->id : m->id,
			    (unsigned)(m->sb->dev >> 8 & 0xfff), (unsigned)(m->sb->dev & 0xff));
			seq_escape(s, text);
			mount_options_text(m, opts, sizeof(opts), false);
			seq_printf(s, " %s - %s ", opts, m->sb->type->name);
			mount_source(s, m);
			super_options_text(m->sb, opts, sizeof(opts));
			seq_printf(s, " %s%s\n", m->sb->flags & MS_RDONLY ? "ro" : "rw", opts);
		}
		mount_put(m);
	}
	path_page_put(page);
	return 0;
}

/* ---- links ---- */

static long
follow_exe(struct task *t, struct path *out)
{
	struct mm *mm = mm_of_task(t);
	long r = -ENOENT;

	if (mm == NULL)
		return r;
	if (mm->exe != NULL && mm->exe->path.dentry != NULL) {
		*out = mm->exe->path;
		path_get(out);
		r = 0;
	}
	mm_put(mm);
	return r;
}

static long
follow_context(struct task *t, struct path *out, bool root)
{
	struct fs_context *fs = fs_context_of(t);

	if (fs == NULL)
		return -ENOENT;
	spin_lock(&fs->lock);
	*out = root ? fs->root : fs->cwd;
	path_get(out);
	spin_unlock(&fs->lock);
	fs_context_put(fs);
	return 0;
}

static long follow_cwd(struct task *t, struct path *out) { return follow_context(t, out, false); }
static long follow_root(struct task *t, struct path *out) { return follow_context(t, out, true); }

static long
link_follow(struct inode *i, struct path *out)
{
	struct pid_inode *pi = i->private_;
	struct task *t = inode_task(pi);
	long r;

	if (t == NULL)
		return -ENOENT;
	r = may_look(t) ? pi->entry->follow(t, out) : -EACCES;
	task_put(t);
	return r;
}

static ssize_t
path_to_link(struct path *p, char *buf, size_t size)
{
	char *text = path_text(p, buf, size, true);
	size_t len;

	path_put(p);
	if (IS_ERR(text))
		return PTR_ERR(text);
	len = strlen(text);
	memmove(buf, text, len + 1);
	return (ssize_t)len;
}

static ssize_t
link_readlink(struct inode *i, struct dentry *d, char *buf, size_t size)
{
	struct path p;
	long r = link_follow(i, &p);

	(void)d;
	return r < 0 ? r : path_to_link(&p, buf, size);
}

static struct file *
fd_file(struct inode *i)
{
	struct pid_inode *pi = i->private_;
	struct task *t = inode_task(pi);
	struct file *f;

	if (t == NULL)
		return ERR_PTR(-ENOENT);
	f = may_look(t) ? fd_get_task(t, pi->fd) : ERR_PTR(-EACCES);
	task_put(t);
	return f != NULL ? f : ERR_PTR(-ENOENT);
}

static long
fd_follow(struct inode *i, struct path *out)
{
	struct file *f = fd_file(i);
	long r;

	if (IS_ERR(f))
		return PTR_ERR(f);
	r = file_link_path(f, out);
	file_put(f);
	return r;
}

static ssize_t
fd_readlink(struct inode *i, struct dentry *d, char *buf, size_t size)
{
	struct file *f = fd_file(i);
	struct path p;
	ssize_t r;

	(void)d;
	if (IS_ERR(f))
		return PTR_ERR(f);
	if (f->path.dentry == NULL) {
		r = (ssize_t)file_link_text(f, buf, size);
	} else {
		p = f->path;
		path_get(&p);
		r = path_to_link(&p, buf, size);
	}
	file_put(f);
	return r;
}

/* ---- fd/ and fdinfo/ ---- */

static long
show_fdinfo(struct seq *s, struct task *t, int fd)
{
	struct file *f = fd_get_task(t, fd);
	struct files *fs;
	unsigned flags;

	if (f == NULL)
		return -ENOENT;
	flags = f->flags;
	fs = files_of(t);
	if (fs != NULL) {
		flags |= files_cloexec(fs, (unsigned)fd) ? O_CLOEXEC : 0;
		files_put(fs);
	}
	seq_printf(s, "pos:\t%ld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%lu\n", f->ops->seek != NULL ? (long)f->pos : 0L, flags,
	    f->path.mnt != NULL ? f->path.mnt->id : 15, f->inode != NULL ? (unsigned long)f->inode->ino : 0UL);
	if (file_is_epoll(f))
		epoll_fdinfo(f, s);
	file_put(f);
	return 0;
}

static long
fdinfo_show(struct seq *s, void *arg)
{
	const struct pid_inode *pi = arg;
	struct task *t = inode_task(pi);
	long r = -ESRCH;

	if (t == NULL)
		return r;
	r = may_look(t) ? show_fdinfo(s, t, pi->fd) : -EACCES;
	task_put(t);
	return r;
}

static struct inode *
fd_inode(struct task *t, int fd, struct file *f, bool info, bool in_task)
{
	uint32_t mode = S_IFLNK | (f->readable ? 0500 : 0) | (f->writable ? 0300 : 0);
	struct inode *i;

	if (!info)
		return pid_inode_new(&fd_entry, t, fd, in_task, mode, &fd_link_ops, NULL);
	i = pid_inode_new(&fdinfo_entry, t, fd, in_task, S_IFREG | 0444, &text_ops, &proc_text_ops);
	if (i != NULL)
		((struct pid_inode *)i->private_)->text.show = fdinfo_show;
	return i;
}

static long
fd_lookup_common(struct inode *dir, struct dentry *d, bool info)
{
	struct pid_inode *pi = dir->private_;
	struct task *t = inode_task(pi);
	int fd = proc_number(d->name);
	struct file *f;
	long r = -ENOENT;

	d->flags |= DF_NOCACHE;
	if (t == NULL)
		return r;
	f = fd >= 0 && may_look(t) ? fd_get_task(t, fd) : NULL;
	if (f != NULL) {
		r = instantiate(d, fd_inode(t, fd, f, info, pi->in_task));
		file_put(f);
	}
	task_put(t);
	return r;
}

static long fd_lookup(struct inode *dir, struct dentry *d) { return fd_lookup_common(dir, d, false); }
static long fdinfo_lookup(struct inode *dir, struct dentry *d) { return fd_lookup_common(dir, d, true); }

static long
fd_iterate(struct file *f, struct dir_context *ctx)
{
	struct pid_inode *pi = f->inode->private_;
	struct task *t = inode_task(pi);
	struct files *fs;
	unsigned type = f->ops == &fd_dir_fops ? 10 : 8;
	long r = 0;

	if (t == NULL)
		return -ENOENT;
	fs = may_look(t) ? files_of(t) : NULL;
	if (fs != NULL && dir_emit_dots(f, ctx)) {
		unsigned fd = (unsigned)ctx->pos - FD_POS;
		struct file *file;

		while ((file = files_nth(fs, fd, &fd)) != NULL) {
			char name[12];
			int n = ksnprintf(name, sizeof(name), "%u", fd);
			uint64_t ino = (uint64_t)pi->tid << 28 | (uint64_t)pi->in_task << 27 | (uint64_t)(fd + 1) << 6 | 63;

			file_put(file);
			ctx->pos = (loff_t)fd + FD_POS;
			if (!ctx->emit(ctx, name, (size_t)n, ino, type))
				break;
			ctx->pos = (loff_t)++fd + FD_POS;
		}
	}
	if (fs != NULL)
		files_put(fs);
	task_put(t);
	return r;
}

/* ---- task/ ---- */

static long
task_lookup(struct inode *dir, struct dentry *d)
{
	struct pid_inode *pi = dir->private_;
	int tid = proc_number(d->name);
	struct task *t = tid > 0 ? task_find(tid) : NULL;
	long r = -ENOENT;

	d->flags |= DF_NOCACHE;
	if (t == NULL)
		return r;
	if (t->process != NULL && t->process->pid == pi->pid)
		r = instantiate(d, pid_inode_new(NULL, t, -1, true, S_IFDIR | 0555, &pid_dir_ops, &pid_dir_fops));
	task_put(t);
	return r;
}

/* The smallest id of a thread of the process, at least `from`; -1. */
static int
next_tid(struct process *p, int from)
{
	struct task *t;
	int best = -1;
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	list_for_each(t, &p->threads, thread_node)
		if (t->tid >= from && (best < 0 || t->tid < best))
			best = t->tid;
	if (best < 0 && p->leader != NULL && list_empty(&p->threads) && p->pid >= from)
		best = p->pid;		/* a zombie */
	spin_unlock_irqrestore(&tasklist_lock, flags);
	return best;
}

static long
task_iterate(struct file *f, struct dir_context *ctx)
{
	struct pid_inode *pi = f->inode->private_;
	struct process *p = process_find(pi->pid);
	int tid;

	if (p == NULL)
		return -ENOENT;
	if (dir_emit_dots(f, ctx))
		while ((tid = next_tid(p, (int)ctx->pos - FD_POS)) >= 0) {
			char name[12];
			int n = ksnprintf(name, sizeof(name), "%d", tid);

			ctx->pos = (loff_t)tid + FD_POS;
			if (!ctx->emit(ctx, name, (size_t)n, (uint64_t)tid << 28 | 1ULL << 27, 4))
				break;
			ctx->pos++;
		}
	process_put(p);
	return 0;
}

/* ---- the process's directory ---- */

static const struct pid_entry fd_entry = { .name = "fd" };
static const struct pid_entry fdinfo_entry = { .name = "fdinfo", .show = show_wchan };

static const struct pid_entry entries[] = {
	{ .name = "task", .mode = S_IFDIR | 0555 },
	{ .name = "fd", .mode = S_IFDIR | 0500, .per_task = true },
	{ .name = "fdinfo", .mode = S_IFDIR | 0555, .per_task = true },
	{ .name = "environ", .mode = S_IFREG | 0400, .per_task = true, .secret = true, .show = show_environ },
	{ .name = "auxv", .mode = S_IFREG | 0400, .per_task = true, .secret = true, .show = show_auxv },
	{ .name = "status", .mode = S_IFREG | 0444, .per_task = true, .show = show_status },
	{ .name = "limits", .mode = S_IFREG | 0444, .per_task = true, .show = show_limits },
	{ .name = "comm", .mode = S_IFREG | 0644, .per_task = true, .show = show_comm, .store = store_comm },
	{ .name = "cmdline", .mode = S_IFREG | 0444, .per_task = true, .show = show_cmdline },
	{ .name = "stat", .mode = S_IFREG | 0444, .per_task = true, .show = show_stat },
	{ .name = "statm", .mode = S_IFREG | 0444, .per_task = true, .show = show_statm },
	{ .name = "maps", .mode = S_IFREG | 0444, .per_task = true, .secret = true, .show = show_maps },
	{ .name = "cwd", .mode = S_IFLNK | 0777, .per_task = true, .follow = follow_cwd },
	{ .name = "root", .mode = S_IFLNK | 0777, .per_task = true, .follow = follow_root },
	{ .name = "exe", .mode = S_IFLNK | 0777, .per_task = true, .follow = follow_exe },
	{ .name = "mounts", .mode = S_IFREG | 0444, .per_task = true, .show = show_mounts },
	{ .name = "mountinfo", .mode = S_IFREG | 0444, .per_task = true, .show = show_mountinfo },
	{ .name = "smaps", .mode = S_IFREG | 0444, .per_task = true, .secret = true, .show = show_smaps },
	{ .name = "wchan", .mode = S_IFREG | 0444, .per_task = true, .show = show_wchan },
	{ .name = "schedstat", .mode = S_IFREG | 0444, .per_task = true, .show = show_stat_sched },
	{ .name = "cgroup", .mode = S_IFREG | 0444, .per_task = true, .show = show_cgroup },
	{ .name = "oom_score", .mode = S_IFREG | 0444, .per_task = true, .show = show_oom_score },
	{ .name = "oom_score_adj", .mode = S_IFREG | 0644, .per_task = true, .show = show_oom_score_adj,
	  .store = store_oom_score_adj },
};

static uint64_t
entry_index(const struct pid_entry *e)
{
	if (e == NULL)
		return 0;
	return e == &fd_entry || e == &fdinfo_entry ? 63 : (uint64_t)(e - entries) + 1;
}

static struct inode *
entry_inode(const struct pid_entry *e, struct task *t, bool in_task)
{
	switch (e->mode & S_IFMT) {
	case S_IFDIR:
		if (strcmp(e->name, "task") == 0)
			return pid_inode_new(e, t, -1, in_task, e->mode, &task_dir_ops, &task_dir_fops);
		if (strcmp(e->name, "fd") == 0)
			return pid_inode_new(e, t, -1, in_task, e->mode, &fd_dir_ops, &fd_dir_fops);
		return pid_inode_new(e, t, -1, in_task, e->mode, &fdinfo_dir_ops, &fdinfo_dir_fops);
	case S_IFLNK:
		return pid_inode_new(e, t, -1, in_task, e->mode, &link_ops, NULL);
	default:
		return pid_inode_new(e, t, -1, in_task, e->mode, &text_ops, &proc_text_ops);
	}
}

static long
pid_dir_lookup(struct inode *dir, struct dentry *d)
{
	struct pid_inode *pi = dir->private_;
	struct task *t;
	long r = -ENOENT;

	d->flags |= DF_NOCACHE;
	for (unsigned n = 0; n < ARRAY_LEN(entries); n++) {
		const struct pid_entry *e = &entries[n];

		if (strcmp(e->name, d->name) != 0 || (pi->in_task && !e->per_task))
			continue;
		t = inode_task(pi);
		if (t == NULL)
			return -ENOENT;
		r = instantiate(d, entry_inode(e, t, pi->in_task));
		task_put(t);
		return r;
	}
	return r;
}

static long
pid_dir_iterate(struct file *f, struct dir_context *ctx)
{
	struct pid_inode *pi = f->inode->private_;

	if (!dir_emit_dots(f, ctx))
		return 0;
	for (unsigned n = (unsigned)ctx->pos - FD_POS; n < ARRAY_LEN(entries); n++) {
		const struct pid_entry *e = &entries[n];

		ctx->pos = (loff_t)n + FD_POS;
		if (pi->in_task && !e->per_task)
			continue;
		if (!ctx->emit(ctx, e->name, strlen(e->name), (uint64_t)pi->tid << 28 | (uint64_t)pi->in_task << 27 | (n + 1),
		    e->mode >> 12))
			return 0;
		ctx->pos++;
	}
	return 0;
}

static loff_t
dir_seek(struct file *f, loff_t off, int whence)
{
	return whence > 1 ? -EINVAL : generic_seek(f, off, whence, 0);
}

static const struct inode_ops pid_dir_ops = { .lookup = pid_dir_lookup, .evict = pid_evict };
static const struct inode_ops task_dir_ops = { .lookup = task_lookup, .evict = pid_evict };
static const struct inode_ops fd_dir_ops = { .lookup = fd_lookup, .evict = pid_evict };
static const struct inode_ops fdinfo_dir_ops = { .lookup = fdinfo_lookup, .evict = pid_evict };
static const struct inode_ops link_ops = { .readlink = link_readlink, .follow = link_follow, .evict = pid_evict };
static const struct inode_ops fd_link_ops = { .readlink = fd_readlink, .follow = fd_follow, .evict = pid_evict };
static const struct inode_ops text_ops = { .evict = pid_evict };
static const struct file_ops pid_dir_fops = { .iterate = pid_dir_iterate, .seek = dir_seek };
static const struct file_ops task_dir_fops = { .iterate = task_iterate, .seek = dir_seek };
static const struct file_ops fd_dir_fops = { .iterate = fd_iterate, .seek = dir_seek };
static const struct file_ops fdinfo_dir_fops = { .iterate = fd_iterate, .seek = dir_seek };

/* ---- for the root directory ---- */

long
proc_pid_lookup(struct dentry *d, const char *name)
{
	int tid = proc_number(name);
	struct task *t = tid > 0 ? task_find(tid) : NULL;
	long r = -ENOENT;

	d->flags |= DF_NOCACHE;
	if (t == NULL)
		return r;
	if (t->process != NULL)
		r = instantiate(d, pid_inode_new(NULL, t, -1, t->process->pid != tid, S_IFDIR | 0555, &pid_dir_ops,
		    &pid_dir_fops));
	task_put(t);
	return r;
}

static int
next_pid(int from)
{
	struct process *p;
	int best = -1;
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	list_for_each(p, &process_list, all)
		if (p->pid >= from && (best < 0 || p->pid < best))
			best = p->pid;
	spin_unlock_irqrestore(&tasklist_lock, flags);
	return best;
}

bool
proc_pid_emit(struct dir_context *ctx, loff_t first)
{
	int pid;

	while ((pid = next_pid((int)(ctx->pos - first))) >= 0) {
		char name[12];
		int n = ksnprintf(name, sizeof(name), "%d", pid);

		ctx->pos = first + pid;
		if (!ctx->emit(ctx, name, (size_t)n, (uint64_t)pid << 28, 4))
			return false;
		ctx->pos++;
	}
	return true;
}
