/* What a module costs the program that PAM loads it into.
 *
 * pam load FILE         loads a library, and prints how many microseconds that took and how many KiB of
 *                       memory the process holds more
 * pam account DIR N     calls `pam_acct_mgmt` of the service `bench` in DIR so many times, and prints how
 *                       many microseconds one took
 */
#include <dlfcn.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static long resident(void)
{
    long pages = 0, skipped = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &skipped, &pages) != 2)
        exit(2);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int converse(int count, const struct pam_message **messages,
                    struct pam_response **responses, void *data)
{
    (void)messages;
    (void)data;
    *responses = calloc(count, sizeof **responses);
    return PAM_SUCCESS;
}

static int load(const char *file)
{
    /* The counting itself takes memory, once. */
    resident();
    long before = resident();
    double begin = now();
    void *library = dlopen(file, RTLD_NOW);
    double took = now() - begin;
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    printf("%f %ld\n", took, resident() - before);
    return 0;
}

static int account(const char *directory, int times)
{
    struct pam_conv conversation = {converse, NULL};
    pam_handle_t *pamh = NULL;
    if (pam_start_confdir("bench", "ada", &conversation, directory, &pamh) != PAM_SUCCESS)
        return 1;
    double begin = 0;
    /* The first call loads the module. */
    for (int i = 0; i <= times; i++) {
        if (i == 1)
            begin = now();
        int code = pam_acct_mgmt(pamh, 0);
        if (code != PAM_SUCCESS) {
            fprintf(stderr, "pam_acct_mgmt: %d\n", code);
            return 1;
        }
    }
    printf("%f\n", (now() - begin) / times);
    pam_end(pamh, PAM_SUCCESS);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "load") == 0)
        return load(argv[2]);
    if (argc == 4 && strcmp(argv[1], "account") == 0)
        return account(argv[2], atoi(argv[3]));
    return 2;
}
