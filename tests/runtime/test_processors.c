/* The default number of threads (runtime/processors.h): affinity, and quotas of made-up control groups. */
#include "runtime/processors.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tools/check.h"

static char root[64];

/* Writes root/path, with the folders on the way. */
static void put(const char *path, const char *text) {
    char name[6000];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *p = name + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') *p = 0, mkdir(name, 0777);
    FILE *f = fopen(name, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void begin(const char *mountinfo, const char *cgroup) {
    char command[128];
    if (*root) snprintf(command, sizeof command, "rm -rf '%s'", root), CHECK(system(command) == 0);
    strcpy(root, "/tmp/btc-groups-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    if (mountinfo) put("proc/self/mountinfo", mountinfo);
    if (cgroup) put("proc/self/cgroup", cgroup);
}

#define V2 "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1 "34 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
#define OTHERS                                                                                               \
    "23 28 0:21 / /proc rw,nosuid shared:13 - proc proc rw\n"                                                \
    "35 25 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"                                      \
    "36 25 0:31 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"

static void check_unified(void) {
    begin(OTHERS V2, "0::/user.slice/app.scope\n");
    CHECK(group_quota(root) == 0);
    put("sys/fs/cgroup/user.slice/app.scope/cpu.max", "max 100000\n");
    CHECK(group_quota(root) == 0);
    put("sys/fs/cgroup/user.slice/app.scope/cpu.max", "150000 100000\n");
    CHECK(group_quota(root) == 1.5);
    put("sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n"); /* around it */
    CHECK(group_quota(root) == 0.5);
    put("sys/fs/cgroup/user.slice/cpu.max", "800000 100000\n");
    CHECK(group_quota(root) == 1.5);
    put("sys/fs/cgroup/cpu.max", "25000 50000\n"); /* the top of a container */
    CHECK(group_quota(root) == 0.5);
    put("sys/fs/cgroup/other/cpu.max", "1000 100000\n"); /* of another group */
    CHECK(group_quota(root) == 0.5);
    begin(V2, "0::/\n");
    put("sys/fs/cgroup/cpu.max", "300000 100000\n");
    CHECK(group_quota(root) == 3);
}

static void check_separate(void) {
    begin(OTHERS V1, "12:cpuset:/x\n4:cpuacct,cpu:/docker/7f\n1:name=systemd:/docker/7f\n");
    CHECK(group_quota(root) == 0);
    put("sys/fs/cgroup/cpu,cpuacct/docker/7f/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu,cpuacct/docker/7f/cpu.cfs_period_us", "100000\n");
    CHECK(group_quota(root) == 0);
    put("sys/fs/cgroup/cpu,cpuacct/docker/7f/cpu.cfs_quota_us", "250000\n");
    CHECK(group_quota(root) == 2.5);
    put("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "120000\n"); /* no period: of no sense */
    CHECK(group_quota(root) == 2.5);
    put("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "60000\n");
    CHECK(group_quota(root) == 2);
    /* both kinds at once: the least counts */
    begin(V1 V2, "4:cpu,cpuacct:/a\n0::/b\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "200000");
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000");
    put("sys/fs/cgroup/b/cpu.max", "100000 100000");
    CHECK(group_quota(root) == 1);
}

/* A container sees its group mounted at the top, and its path as the host has it, or not. */
static void check_mounted_below(void) {
    static const char *const groups[] = {"4:cpu:/docker/7f\n", "4:cpu:/docker/7f/inner\n", "4:cpu:/\n",
                                         "4:cpu:/../elsewhere\n", "4:cpu:/docker/7fff\n"};
    static const double quotas[] = {2, 1, 2, 2, 2};
    for (int i = 0; i < 5; i++) {
        begin("34 25 0:29 /docker/7f /sys/fs/my\\040groups rw - cgroup cgroup rw,cpu\n", groups[i]);
        put("sys/fs/my groups/cpu.cfs_quota_us", "200000");
        put("sys/fs/my groups/cpu.cfs_period_us", "100000");
        put("sys/fs/my groups/inner/cpu.cfs_quota_us", "100000");
        put("sys/fs/my groups/inner/cpu.cfs_period_us", "100000");
        CHECK(group_quota(root) == quotas[i]);
    }
}

/* What makes no sense limits nothing, and is read without harm. */
static void check_odd(void) {
    static const char *const odd[] = {"",
                                      "\n",
                                      "max",
                                      "0 100000",
                                      "-5 100000",
                                      "100000",
                                      "1e5 x",
                                      "100000 0",
                                      "100000 -1",
                                      "x y",
                                      "99999999999999999999 1",
                                      "5 99999999999999999999",
                                      "\001\002",
                                      " "};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        begin(V2, "0::/a\n");
        put("sys/fs/cgroup/a/cpu.max", odd[i]);
        CHECK(group_quota(root) == 0);
    }
    static const char *const mounts[] = {"",
                                         "\n\n",
                                         "-",
                                         "30 23 0:26 / /m",
                                         "30 23 0:26 / /m rw -",
                                         "30 23 0:26 / /m rw - cgroup2",
                                         "30 23 0:26 / /m rw - cgroup2 x",
                                         "a b c d e f g h i j k l m n o p q r s t u v w x y z",
                                         "\\0 \\7 \\"};
    static const char *const groups[] = {"", ":", "::", "0", "0:", "0::", "x:y:z", ":::::\n0", "0::/a:b\n"};
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        begin(mounts[i], "0::/a\n");
        CHECK(group_quota(root) == 0);
    }
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        begin(V2 V1, groups[i]);
        put("sys/fs/cgroup/a:b/cpu.max", "100000 50000");
        CHECK(group_quota(root) == (i == 8 ? 2 : 0));
    }
    char longest[5000] = "0::/", many[5000];
    memset(longest + 4, 'x', sizeof longest - 5);
    begin(V2, longest);
    CHECK(group_quota(root) == 0);
    memset(many, ' ', sizeof many - 1), many[sizeof many - 1] = 0;
    begin(many, "0::/\n");
    CHECK(group_quota(root) == 0);
    CHECK(group_quota("/no/such/folder") == 0);
}

static void check_rounding(void) {
    CHECK(quota_threads(0.1) == 1 && quota_threads(1) == 1 && quota_threads(1.25) == 1);
    CHECK(quota_threads(1.5) == 2 && quota_threads(2) == 2 && quota_threads(2.49) == 2);
    CHECK(quota_threads(7.5) == 8 && quota_threads(1e300) > 0);
}

/* Never more than the affinity mask, and all of it where no group has a quota. */
static void check_affinity(void) {
    cpu_set_t all, some;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    double quota = group_quota("");
    int allowed = CPU_COUNT(&all), most = quota > 0 ? quota_threads(quota) : allowed;
    CHECK(usable_processors() == (most < allowed ? most : allowed));
    CPU_ZERO(&some);
    for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&some); i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &some);
    CHECK(sched_setaffinity(0, sizeof some, &some) == 0);
    CHECK(usable_processors() == 1);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

int main(void) {
    check_unified();
    check_separate();
    check_mounted_below();
    check_odd();
    check_rounding();
    check_affinity();
    begin(NULL, NULL);
    rmdir(root);
    return check_report("processors");
}
