/**
 * Pure. System calls that every container may make, by what they are for; names of all architectures, since a filter
 * leaves out those its own does not have.
 */
const groups = [
  /** Reading and writing */
  `_llseek cachestat copy_file_range fadvise64 fadvise64_64 fdatasync fsync io_cancel io_destroy
   io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit lseek msync pread64 preadv
   preadv2 process_mrelease pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 splice
   sync sync_file_range syncfs tee vmsplice write writev`,
  /** Files and directories */
  `access chdir chmod chown chown32 close close_range creat dup dup2 dup3 faccessat faccessat2
   fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
   fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64
   ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch
   inotify_init inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listmount
   listxattr listxattrat llistxattr lremovexattr lsetxattr lstat lstat64 memfd_create memfd_secret
   mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 readlink
   readlinkat removexattr removexattrat rename renameat renameat2 rmdir setxattr setxattrat stat stat64
   statfs statfs64 statmount statx symlink symlinkat truncate truncate64 umask unlink unlinkat utime
   utimensat utimensat_time64 utimes`,
  /** Waiting */
  `_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
   epoll_wait_old eventfd eventfd2 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
   get_robust_list poll ppoll ppoll_time64 pselect6 pselect6_time64 select set_robust_list signalfd
   signalfd4 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64`,
  /** Memory */
  `brk madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap
   mseal munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages rseq`,
  /** Processes and threads */
  `alarm capget capset execve execveat exit exit_group fork get_thread_area getcpu getpgid getpgrp
   getpid getppid getpriority getrlimit getrusage getsid gettid ioprio_get ioprio_set kill
   landlock_add_rule landlock_create_ruleset landlock_restrict_self nanosleep pause pidfd_open
   pidfd_send_signal prctl prlimit64 restart_syscall sched_get_priority_max sched_get_priority_min
   sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
   sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
   sched_yield seccomp set_thread_area set_tid_address setpgid setpriority setrlimit setsid tgkill
   times tkill ugetrlimit uretprobe vfork wait4 waitid waitpid`,
  /** Identities */
  `getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
   getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
   setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
   setreuid32 setuid setuid32`,
  /** Signals */
  `rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
   rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn`,
  /** Clocks and timers */
  `adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
   clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday setitimer time
   timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
   timer_settime64`,
  /** Networks */
  `accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg
   recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair`,
  /** Messages between processes */
  `ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
   mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop
   semtimedop_time64 shmat shmctl shmdt shmget`,
  /** The system */
  `getrandom riscv_hwprobe sysinfo uname`,
] as const;

export const allowedCalls: readonly string[] = groups.flatMap((group) => group.trim().split(/\s+/)).sort();
