/* SPDX-License-Identifier: MIT */
/* The configuration file: whatever is accepted leads every listener to an owner or to CIDs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-proxy/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host_config config;
    char error[512] = "";
    host_config_init(&config);
    int result =
        host_config_read_text(&config, "f", (const char *)data, size, error, sizeof(error));
    if (result == 0)
        result = host_config_complete(&config, error, sizeof(error));
    if (result < 0 && !*error)
        abort();
    if (result == 0) {
        for (size_t i = 0; i < config.n_listen; i++) {
            if (config.listen[i].kind != ADDRESS_VSOCK)
                abort();
        }
        for (size_t i = 0; i < config.n_vms; i++) {
            const struct vm_config *vm = &config.vms[i];
            for (size_t l = 0; l < vm->n_listen; l++) {
                if (host_config_owner(&config, &vm->listen[l]) != vm)
                    abort();
            }
            if (vm->has_cid && host_config_vm_of_cid(&config, vm->cid) != vm)
                abort();
        }
    }
    host_config_finish(&config);
    return 0;
}
