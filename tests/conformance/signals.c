/* SPDX-License-Identifier: MIT */
/*
 * Signals: masks and queues, what handlers see and where they run, what they
 * interrupt, stopping and going on.
 */
#include "conform.h"
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <ucontext.h>

static volatile sig_atomic_t caught, depth, most;
static siginfo_t last;
static volatile uint64_t handler_stack;

static void count(int s) { (void)s; caught++; }

static void
note(int s, siginfo_t *info, void *context)
{
	char here;

	(void)s;
	(void)context;
	last = *info;
	handler_stack = (uint64_t)&here;
	caught++;
}

static void
on(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	EQUAL(sigaction(sig, &sa, NULL), 0);
}

static void
on_info(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | flags };

	EQUAL(sigaction(sig, &sa, NULL), 0);
}

static void
blocked_signals_wait(void)
{
	sigset_t set, pending;

	on(SIGUSR1, count, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	EQUAL(caught, 0);
	sigpending(&pending);
	EQUAL(sigismember(&pending, SIGUSR1), 1);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	EQUAL(caught, 1);		/* standard signals do not queue */
}

static int order[8], ordered;
static void in_order(int s, siginfo_t *i, void *c) { (void)s; (void)c; order[ordered++] = i->si_value.sival_int; }

static void
realtime_signals_queue_in_order(void)
{
	struct sigaction sa = { .sa_sigaction = in_order, .sa_flags = SA_SIGINFO };
	sigset_t set;
	int low = SIGRTMIN + 1, high = SIGRTMIN + 4;

	sigfillset(&sa.sa_mask);
	sigaction(low, &sa, NULL);
	sigaction(high, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, low);
	sigaddset(&set, high);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 3; i++) {
		EQUAL(sigqueue(getpid(), high, (union sigval){ .sival_int = 10 + i }), 0);
		EQUAL(sigqueue(getpid(), low, (union sigval){ .sival_int = i }), 0);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	EQUAL(ordered, 6);
	for (int i = 0; i < 3; i++) {
		EQUAL(order[i], i);		/* the lower number first */
		EQUAL(order[3 + i], 10 + i);
	}
}

static void
who_sent_it_is_told(void)
{
	on_info(SIGUSR1, 0);
	kill(getpid(), SIGUSR1);
	EQUAL(last.si_code, SI_USER);
	EQUAL(last.si_pid, getpid());
	EQUAL(last.si_signo, SIGUSR1);
	sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 77 });
	EQUAL(last.si_code, SI_QUEUE);
	EQUAL(last.si_value.sival_int, 77);
	raise(SIGUSR1);
	EQUAL(last.si_code, SI_TKILL);
	EQUAL(caught, 3);
}

static void
nest(int s)
{
	if (++depth > most)
		most = depth;
	if (caught++ < 3)
		raise(s);
	depth--;
}

static void
nodefer_nests_and_the_default_does_not(void)
{
	on(SIGUSR1, nest, 0);
	raise(SIGUSR1);
	EQUAL(caught, 4);
	EQUAL(most, 1);
	caught = most = depth = 0;
	on(SIGUSR1, nest, SA_NODEFER);
	raise(SIGUSR1);
	EQUAL(caught, 4);
	EQUAL(most, 4);
}

static void die_second_time(void) { on(SIGUSR1, count, SA_RESETHAND); raise(SIGUSR1); raise(SIGUSR1); }
static void resethand_is_for_once(void) { DIES(die_second_time, SIGUSR1); }

static void
handlers_run_on_another_stack(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) }, old;

	EQUAL(sigaltstack(&ss, NULL), 0);
	on_info(SIGUSR1, SA_ONSTACK);
	raise(SIGUSR1);
	REQUIRE(handler_stack > (uint64_t)stack && handler_stack < (uint64_t)stack + sizeof(stack));
	on_info(SIGUSR1, 0);
	raise(SIGUSR1);
	REQUIRE(handler_stack < (uint64_t)stack || handler_stack > (uint64_t)stack + sizeof(stack));
	EQUAL(sigaltstack(NULL, &old), 0);
	EQUAL(old.ss_size, sizeof(stack));
	ss.ss_size = 100;
	FAILS(sigaltstack(&ss, NULL), ENOMEM);
}

static int (*volatile again)(int);
static int overflow(int n) { volatile char f[2048]; f[0] = (char)n; return again(n + 1) + f[0]; }
static void leave(int s) { (void)s; _exit(33); }

static void
overflow_with_a_stack(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };

	sigaltstack(&ss, NULL);
	on(SIGSEGV, leave, SA_ONSTACK);
	again = overflow;
	_exit(overflow(0));
}

static void overflow_without(void) { on(SIGSEGV, leave, 0); again = overflow; _exit(overflow(0)); }

static void
stack_overflow_can_be_caught(void)
{
	EXITS(overflow_with_a_stack, 33);
	DIES(overflow_without, SIGSEGV);
}

static pid_t
signal_later(pid_t who, int sig)
{
	pid_t p = fork();

	if (p == 0) {
		for (int i = 0; i < 3000 && state_of(who) != 'S'; i++)
			sleep_ms(10);
		sleep_ms(30);
		kill(who, sig);
		_exit(0);
	}
	return p;
}

static void
reads_restart_or_not(void)
{
	char c;
	int p[2];
	pid_t helper;

	EQUAL(pipe(p), 0);
	on(SIGUSR1, count, 0);
	helper = signal_later(getpid(), SIGUSR1);
	FAILS(read(p[0], &c, 1), EINTR);
	waitpid(helper, NULL, 0);
	on(SIGUSR1, count, SA_RESTART);
	helper = fork();
	if (helper == 0) {
		waitpid(signal_later(getppid(), SIGUSR1), NULL, 0);
		sleep_ms(50);
		_exit(write(p[1], "x", 1) != 1);
	}
	EQUAL(read(p[0], &c, 1), 1);
	EQUAL(caught, 2);
	waitpid(helper, NULL, 0);
}

static void
nanosleep_tells_what_remains(void)
{
	struct timespec ts = { 100, 0 }, left = { 0, 0 };
	pid_t helper;

	on(SIGUSR1, count, SA_RESTART);		/* it never restarts after a handler */
	helper = signal_later(getpid(), SIGUSR1);
	FAILS(nanosleep(&ts, &left), EINTR);
	REQUIRE(left.tv_sec > 10 && left.tv_sec < 100);
	waitpid(helper, NULL, 0);
}

static void
poll_and_pause_never_restart(void)
{
	struct timespec ts = { 100, 0 };
	pid_t helper;

	on(SIGUSR1, count, SA_RESTART);
	helper = signal_later(getpid(), SIGUSR1);
	FAILS(syscall(SYS_ppoll, NULL, 0, &ts, NULL, 8), EINTR);
	waitpid(helper, NULL, 0);
	helper = signal_later(getpid(), SIGUSR1);
	FAILS(pause(), EINTR);
	waitpid(helper, NULL, 0);
}

static void
sigsuspend_swaps_the_mask(void)
{
	sigset_t block, empty, now;
	pid_t helper;

	on(SIGUSR1, count, 0);
	sigemptyset(&block);
	sigemptyset(&empty);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	kill(getpid(), SIGUSR1);
	FAILS(sigsuspend(&empty), EINTR);
	EQUAL(caught, 1);
	sigprocmask(SIG_BLOCK, NULL, &now);
	EQUAL(sigismember(&now, SIGUSR1), 1);
	helper = signal_later(getpid(), SIGUSR1);
	FAILS(sigsuspend(&empty), EINTR);
	EQUAL(caught, 2);
	waitpid(helper, NULL, 0);
}

static void
sigtimedwait_takes_and_times_out(void)
{
	struct timespec brief = { 0, 20000000 }, longer = { 100, 0 };
	siginfo_t info;
	sigset_t set;
	pid_t helper;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	FAILS(sigtimedwait(&set, &info, &brief), EAGAIN);
	sigqueue(getpid(), SIGRTMIN + 2, (union sigval){ .sival_int = 5 });
	EQUAL(sigtimedwait(&set, &info, &brief), SIGRTMIN + 2);
	EQUAL(info.si_value.sival_int, 5);
	helper = signal_later(getpid(), SIGUSR1);
	EQUAL(sigtimedwait(&set, &info, &longer), SIGUSR1);
	EQUAL(info.si_pid, helper);
	waitpid(helper, NULL, 0);
}

static void
stopping_and_going_on_is_told(void)
{
	siginfo_t info;
	int status;
	pid_t p;

	on_info(SIGCHLD, SA_RESTART);
	p = fork();
	if (p == 0) {
		for (;;)
			pause();
	}
	EQUAL(kill(p, SIGSTOP), 0);
	EQUAL(waitpid(p, &status, WUNTRACED), p);
	REQUIRE(WIFSTOPPED(status));
	EQUAL(WSTOPSIG(status), SIGSTOP);
	EVENTUALLY(caught == 1);
	EQUAL(last.si_code, CLD_STOPPED);
	EQUAL(last.si_status, SIGSTOP);
	EQUAL(state_of(p), 'T');
	EQUAL(kill(p, SIGTERM), 0);		/* waits until it goes on */
	EQUAL(state_of(p), 'T');
	EQUAL(waitid(P_PID, (id_t)p, &info, WEXITED | WNOHANG), 0);
	EQUAL(kill(p, SIGCONT), 0);
	EVENTUALLY(state_of(p) == 'Z');
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(WTERMSIG(status), SIGTERM);
}

static void
continuing_is_told(void)
{
	int status;
	pid_t p = fork();

	if (p == 0) {
		for (;;)
			pause();
	}
	kill(p, SIGSTOP);
	EQUAL(waitpid(p, &status, WUNTRACED), p);
	kill(p, SIGCONT);
	EQUAL(waitpid(p, &status, WCONTINUED), p);
	REQUIRE(WIFCONTINUED(status));
	kill(p, SIGKILL);
	EQUAL(waitpid(p, &status, 0), p);
}

static void
nocldstop_is_silent(void)
{
	int status;
	pid_t p;

	on(SIGCHLD, count, SA_NOCLDSTOP | SA_RESTART);
	p = fork();
	if (p == 0) {
		for (;;)
			pause();
	}
	kill(p, SIGSTOP);
	EQUAL(waitpid(p, &status, WUNTRACED), p);
	EQUAL(caught, 0);
	kill(p, SIGKILL);
	EQUAL(waitpid(p, &status, 0), p);
	EVENTUALLY(caught == 1);
}

static void
kill_and_stop_cannot_be_caught(void)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };
	sigset_t set;

	FAILS(sigaction(SIGKILL, &sa, NULL), EINVAL);
	FAILS(sigaction(SIGSTOP, &sa, NULL), EINVAL);
	sigfillset(&set);
	EQUAL(sigprocmask(SIG_SETMASK, &set, NULL), 0);
	sigprocmask(SIG_SETMASK, NULL, &set);
	EQUAL(sigismember(&set, SIGKILL), 0);
	EQUAL(sigismember(&set, SIGSTOP), 0);
	FAILS(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
}

static void
skip(int s, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)s;
	last = *info;
	caught++;
	uc->uc_mcontext.pc += 4;
	uc->uc_mcontext.regs[3] = 1234;
}

static void
handlers_may_change_registers(void)
{
	struct sigaction sa = { .sa_sigaction = skip, .sa_flags = SA_SIGINFO };
	register uint64_t r __asm__("x3") = 0;
	double d = 1.25, e;

	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	__asm__ volatile("fmov d8, %d1\n\t.inst 0\n\tfmov %d2, d8" : "+r"(r), "+w"(d), "=w"(e) : : "d8", "memory");
	EQUAL(r, 1234);
	REQUIRE(e == 1.25);
	EQUAL(last.si_code, ILL_ILLOPC);
	__asm__ volatile("mov x4, #0x1000\n\tldr x4, [x4]" : : : "x3", "x4", "memory");
	EQUAL(last.si_code, SEGV_MAPERR);
	EQUAL(last.si_addr, 0x1000);
	EQUAL(caught, 2);
}

/* A handler's caller is found through fp and lr: the trampoline, whose caller is
 * who was interrupted. */
static volatile int frames_seen;

static void
walk(int s)
{
	uint64_t *frame = __builtin_frame_address(0);

	(void)s;
	for (int i = 0; i < 64 && frame != NULL && ((uint64_t)frame & 15) == 0; i++) {
		frames_seen++;
		frame = (uint64_t *)frame[0];
	}
}

static void
frames_chain_through_the_handler(void)
{
	on(SIGUSR1, walk, 0);
	raise(SIGUSR1);
	REQUIRE(frames_seen >= 3);
}

static void
exec_keeps_ignored_and_resets_caught(void)
{
	int status;
	pid_t p;

	on(SIGUSR1, count, 0);
	signal(SIGUSR2, SIG_IGN);
	p = fork();
	if (p == 0) {
		execl("/bin/sh", "sh", "-c", "kill -USR2 $$; kill -USR1 $$", (char *)NULL);
		_exit(1);
	}
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(WTERMSIG(status), SIGUSR1);
}

static void
timers_signal(void)
{
	struct itimerval it = { { 0, 10000 }, { 0, 10000 } };

	on(SIGALRM, count, 0);
	EQUAL(setitimer(ITIMER_REAL, &it, NULL), 0);
	EVENTUALLY(caught >= 3);
	memset(&it, 0, sizeof(it));
	setitimer(ITIMER_REAL, &it, NULL);
}

static void
short_periods_leave_time_for_programs(void)
{
	struct itimerspec ns = { { 0, 1 }, { 0, 1 } }, none = { { 0, 0 }, { 0, 0 } }, left;
	struct itimerval us = { { 0, 1 }, { 0, 1 } }, stop = { { 0, 0 }, { 0, 0 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1 };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t n, sum = 0;
	timer_t t, silent;

	on(SIGALRM, count, 0);
	on(SIGRTMIN + 1, count, 0);
	EQUAL(timer_create(CLOCK_MONOTONIC, &event, &t), 0);
	event.sigev_notify = SIGEV_NONE;
	EQUAL(timer_create(CLOCK_MONOTONIC, &event, &silent), 0);
	EQUAL(timer_settime(t, 0, &ns, NULL), 0);
	EQUAL(timer_settime(silent, 0, &ns, NULL), 0);
	EQUAL(setitimer(ITIMER_REAL, &us, NULL), 0);
	EQUAL(timerfd_settime(fd, 0, &ns, NULL), 0);
	for (int i = 0; i < 100; i++) {
		while (read(fd, &n, sizeof(n)) != sizeof(n))
			REQUIRE(errno == EINTR);
		REQUIRE(n > 0);
		sum += n;
	}
	REQUIRE(sum > 1000 && caught > 2);
	EQUAL(timer_gettime(silent, &left), 0);
	REQUIRE(left.it_value.tv_nsec == 1 && left.it_interval.tv_nsec == 1);
	EQUAL(setitimer(ITIMER_REAL, &stop, NULL), 0);
	EQUAL(timer_settime(t, 0, &none, NULL), 0);
	EQUAL(timerfd_settime(fd, 0, &none, NULL), 0);
	EQUAL(timerfd_gettime(fd, &left), 0);
	EQUAL(left.it_value.tv_nsec, 0);
}

/* What passes while the signal is blocked is counted, and the timer goes on afterwards. */
static void
a_blocked_timer_counts(void)
{
	struct itimerspec ms = { { 0, 1000000 }, { 0, 1000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction act = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	sigset_t set;
	timer_t t;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaction(SIGUSR1, &act, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	EQUAL(timer_create(CLOCK_MONOTONIC, &event, &t), 0);
	EQUAL(timer_settime(t, 0, &ms, NULL), 0);
	sleep_ms(50);
	EQUAL(caught, 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	EVENTUALLY(caught >= 1);
	EVENTUALLY(caught >= 3);
	EQUAL(timer_delete(t), 0);
	caught = 0;
	sigprocmask(SIG_BLOCK, &set, NULL);
	EQUAL(timer_create(CLOCK_MONOTONIC, &event, &t), 0);
	EQUAL(timer_settime(t, 0, &ms, NULL), 0);
	sleep_ms(50);
	EQUAL(sigwaitinfo(&set, &last), SIGUSR1);
	EQUAL(last.si_code, SI_TIMER);
	REQUIRE(last.si_overrun >= 20);
	EQUAL(timer_delete(t), 0);
}

/* Burns CPU time until the signal has come so often. */
static void
cpu_time_signals(int which, int sig)
{
	struct itimerval it = { { 0, 20000 }, { 0, 20000 } }, was;

	on(sig, count, 0);
	EQUAL(setitimer(which, &it, NULL), 0);
	EQUAL(getitimer(which, &was), 0);
	REQUIRE(was.it_interval.tv_usec == 20000 && was.it_value.tv_sec == 0 && was.it_value.tv_usec > 0);
	while (caught < 3)
		continue;
	memset(&it, 0, sizeof(it));
	EQUAL(setitimer(which, &it, NULL), 0);
	EQUAL(getitimer(which, &was), 0);
	REQUIRE(was.it_value.tv_sec == 0 && was.it_value.tv_usec == 0);
}

static void
timer_in_a_child(void)
{
	struct itimerval it;

	_exit(getitimer(ITIMER_PROF, &it) == 0 && it.it_value.tv_sec == 0 && it.it_value.tv_usec == 0 ? 3 : 1);
}

static void
cpu_timers_signal(void)
{
	struct itimerval it = { { 0, 0 }, { 9, 0 } };

	cpu_time_signals(ITIMER_PROF, SIGPROF);
	caught = 0;
	cpu_time_signals(ITIMER_VIRTUAL, SIGVTALRM);
	EQUAL(setitimer(ITIMER_PROF, &it, NULL), 0);
	EXITS(timer_in_a_child, 3);
	FAILS(setitimer(3, &it, NULL), EINVAL);
}

/* A soft limit of CPU time warns and goes on, a hard one ends the program; both are inherited. */
static void
cpu_limits_end_a_loop(void)
{
	struct rlimit l = { 1, 2 };
	int status;
	pid_t p = fork();

	if (p == 0) {
		if (setrlimit(RLIMIT_CPU, &l) != 0 || fork() != 0)
			_exit(wait(&status) > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 7 : 1);
		on(SIGXCPU, count, 0);
		for (;;)
			if (caught > 3)
				_exit(1);
	}
	EQUAL(waitpid(p, &status, 0), p);
	REQUIRE(WIFEXITED(status));
	EQUAL(WEXITSTATUS(status), 7);
	p = fork();
	if (p == 0) {
		setrlimit(RLIMIT_CPU, &l);
		for (;;)
			continue;
	}
	EQUAL(waitpid(p, &status, 0), p);
	REQUIRE(WIFSIGNALED(status));
	EQUAL(WTERMSIG(status), SIGXCPU);
}

static void
a_zombie_takes_every_signal(void)
{
	siginfo_t info;
	pid_t p = fork();

	if (p == 0)
		_exit(5);
	setpgid(p, p);
	REQUIRE(waitid(P_PID, (id_t)p, &info, WEXITED | WNOWAIT) == 0);
	EQUAL(kill(p, 0), 0);
	EQUAL(kill(p, SIGKILL), 0);
	EQUAL(kill(-p, SIGKILL), 0);
	REQUIRE(waitid(P_PID, (id_t)p, &info, WEXITED) == 0);
	EQUAL(info.si_status, 5);
	FAILS(kill(p, SIGKILL), ESRCH);
}

TESTS(TEST(blocked_signals_wait), TEST(realtime_signals_queue_in_order), TEST(who_sent_it_is_told),
    TEST(nodefer_nests_and_the_default_does_not), TEST(resethand_is_for_once),
    TEST(handlers_run_on_another_stack), TEST(stack_overflow_can_be_caught), TEST(reads_restart_or_not),
    TEST(nanosleep_tells_what_remains), TEST(poll_and_pause_never_restart), TEST(sigsuspend_swaps_the_mask),
    TEST(sigtimedwait_takes_and_times_out), TEST(stopping_and_going_on_is_told), TEST(continuing_is_told),
    TEST(nocldstop_is_silent), TEST(kill_and_stop_cannot_be_caught), TEST(handlers_may_change_registers),
    TEST(frames_chain_through_the_handler), TEST(exec_keeps_ignored_and_resets_caught), TEST(timers_signal),
    TEST(short_periods_leave_time_for_programs), TEST(a_blocked_timer_counts),
    TEST(cpu_timers_signal), TEST(cpu_limits_end_a_loop),
    TEST(a_zombie_takes_every_signal));
