/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: the process that holds most, corrected by its oom_score_adj,
 * is killed.  init never is.  While a victim is still on its way out, nobody
 * else is chosen: its memory is what everybody waits for.
 */
#include "internal.h"

enum { RETRY_NS = 200000000 };

static spinlock_t oom_lock = SPINLOCK_INIT(55);

/* In thousandths of RAM, and never 0 for a candidate; -1: not to be killed. */
static long
badness(struct process *p)
{
	struct mm *mm = p->leader != NULL ? READ_ONCE(p->leader->mm) : NULL;
	struct task *t;
	uint64_t pages;
	long score;

	if (p == init_process || p->zombie || p->oom_score_adj <= -1000)
		return -1;
	if (mm == NULL)			/* the leader may have left before its threads */
		list_for_each(t, &p->threads, thread_node)
			if (t->mm != NULL)
				mm = t->mm;
	if (mm == NULL)
		return -1;
	pages = mm->rss_anon + mm->rss_file + mm->table_pages;
	score = (long)pages + p->oom_score_adj * (long)(pages_total() / 1000);
	return max(score, 1L);
}

static struct process *
choose(bool *dying)
{
	struct process *p, *worst = NULL;
	long most = 0;
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);

	*dying = false;
	list_for_each(p, &process_list, all) {
		long score = badness(p);

		if (score < 0)
			continue;
		if (p->oom_victim)
			*dying = true;
		if (score > most) {
			most = score;
			worst = p;
		}
	}
	if (worst != NULL)
		process_get(worst);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return worst;
}

void
oom_kill(void)
{
	static uint64_t last;
	uint64_t now = clock_monotonic();
	struct process *p;
	bool dying;

	if (!spin_trylock(&oom_lock))
		return;
	p = choose(&dying);
	if (p != NULL && (!dying || now - last > RETRY_NS)) {
		last = now;
		if (!p->oom_victim)
			klog(LOG_ERR, "Out of memory: Killed process %d (%s) anon-rss:%lukB, file-rss:%lukB, free:%lukB",
			    p->pid, p->leader->comm,
			    (unsigned long)(p->leader->mm != NULL ? p->leader->mm->rss_anon * 4 : 0),
			    (unsigned long)(p->leader->mm != NULL ? p->leader->mm->rss_file * 4 : 0),
			    (unsigned long)pages_free_count() * 4);
		p->oom_victim = true;
		signal_send_process(p, SIGKILL, NULL);
	}
	spin_unlock(&oom_lock);
	if (p != NULL)
		process_put(p);
}

uint64_t
mm_commit_limit(void)
{
	return pages_total() / 2;
}
