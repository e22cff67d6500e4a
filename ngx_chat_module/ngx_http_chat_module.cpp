// What nginx knows of this module.

#include "ngx_chat_module/conf.hpp"
#include "ngx_chat_module/ngx.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/status_zone.hpp"
#include "ngx_chat_module/variables.hpp"

namespace {

ngx_http_module_t context = {
    chat::addVariables,  // preconfiguration
    nullptr,             // postconfiguration

    chat::createMainConf,  // create main configuration
    nullptr,               // init main configuration

    nullptr,  // create server configuration
    nullptr,  // merge server configuration

    chat::createLocConf,  // create location configuration
    chat::mergeLocConf,   // merge location configuration
};

void exitProcess(ngx_cycle_t* cycle)
{
    chat::closeRelays(cycle);
    chat::giveSlot();
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming)
ngx_module_t ngx_http_chat_module = {
    NGX_MODULE_V1,
    &context,
    chat::commands,
    NGX_HTTP_MODULE,
    nullptr,          // init master
    nullptr,          // init module
    chat::claimSlot,  // init process
    nullptr,          // init thread
    nullptr,          // exit thread
    exitProcess,      // exit process
    nullptr,          // exit master
    NGX_MODULE_V1_PADDING,
};
