/**
 * The messages of the protocol in Protocol Buffers: `field:type=number`. A type followed by `[]` repeats, and `map<type>`
 * has texts as keys.
 *
 * @module
 */

import { parseSchema } from "./message_type.ts";

/** Every message, by name. */
export const schema = parseSchema({
  Error: "code:uint32=1 message:string=2 temporary:bool=3",
  EmulationRequest: "node:string=1 session:string=2 data:bytes=3",
  Command:
    "id:uint32=1 connect:ConnectRequest=4 subscribe:SubscribeRequest=5 unsubscribe:ChannelRequest=6 publish:PublishRequest=7 " +
    "presence:ChannelRequest=8 presence_stats:ChannelRequest=9 history:HistoryRequest=10 ping:Empty=11 send:Data=12 " +
    "rpc:RPCRequest=13 refresh:RefreshRequest=14 sub_refresh:SubRefreshRequest=15",
  Reply:
    "id:uint32=1 error:Error=2 push:Push=4 connect:ConnectResult=5 subscribe:SubscribeResult=6 unsubscribe:Empty=7 " +
    "publish:Empty=8 presence:PresenceResult=9 presence_stats:PresenceStatsResult=10 history:HistoryResult=11 " +
    "ping:Empty=12 rpc:Data=13 refresh:RefreshResult=14 sub_refresh:SubRefreshResult=15",
  Push: "id:int64=1 channel:string=2 pub:Publication=4 join:Join=5 leave:Join=6 unsubscribe:Unsubscribe=7 " +
    "message:Data=8 subscribe:Subscribe=9 connect:Connect=10 disconnect:Disconnect=11 refresh:Refresh=12",
  ClientInfo: "user:string=1 client:string=2 conn_info:bytes=3 chan_info:bytes=4",
  Publication:
    "data:bytes=4 info:ClientInfo=5 offset:uint64=6 tags:map<string>=7 delta:bool=8 time:int64=9 " +
    "channel:string=10 key:string=11 removed:bool=12 score:sint64=13 epoch:string=14 version:uint64=16",
  Join: "info:ClientInfo=1",
  Unsubscribe: "code:uint32=2 reason:string=3",
  Subscribe: "recoverable:bool=1 epoch:string=4 offset:uint64=5 positioned:bool=6 data:bytes=7",
  Connect:
    "client:string=1 version:string=2 data:bytes=3 subs:map<SubscribeResult>=4 expires:bool=5 ttl:uint32=6 " +
    "ping:uint32=7 pong:bool=8 session:string=9 node:string=10 time:int64=11",
  Disconnect: "code:uint32=1 reason:string=2 reconnect:bool=3",
  Refresh: "expires:bool=1 ttl:uint32=2",
  Dictionary: "id:string=1 data:bytes=2 data_b64:string=3",
  ConnectRequest: "token:string=1 data:bytes=2 subs:map<SubscribeRequest>=3 name:string=4 version:string=5 " +
    "headers:map<string>=6 flag:int64=7 dict:string=8 profile:string=9",
  ConnectResult: "client:string=1 version:string=2 expires:bool=3 ttl:uint32=4 data:bytes=5 " +
    "subs:map<SubscribeResult>=6 ping:uint32=7 pong:bool=8 session:string=9 node:string=10 time:int64=11 " +
    "flag:int64=12 dict:Dictionary=13",
  RefreshRequest: "token:string=1",
  RefreshResult: "client:string=1 version:string=2 expires:bool=3 ttl:uint32=4",
  SubscribeRequest:
    "channel:string=1 token:string=2 recover:bool=3 epoch:string=6 offset:uint64=7 data:bytes=8 " +
    "positioned:bool=9 recoverable:bool=10 join_leave:bool=11 delta:string=12 tf:FilterNode=13 flag:int64=14 " +
    "type:int32=15 phase:int32=16 cursor:string=17 limit:int32=18 asc:bool=19",
  SubscribeResult:
    "expires:bool=1 ttl:uint32=2 recoverable:bool=3 epoch:string=6 publications:Publication[]=7 " +
    "recovered:bool=8 offset:uint64=9 positioned:bool=10 data:bytes=11 was_recovering:bool=12 delta:bool=13 " +
    "id:int64=14 type:int32=15 phase:int32=16 cursor:string=17 state:Publication[]=18 publish_debounce:uint32=19",
  KeyedItem: "key:string=1 version:uint64=2",
  TrackBatch: "signature:string=1 items:KeyedItem[]=2",
  SubRefreshRequest: "channel:string=1 token:string=2 type:int32=3 track:TrackBatch[]=4 untrack:string[]=5",
  SubRefreshResult: "expires:bool=1 ttl:uint32=2 items:Publication[]=3",
  PublishRequest: "channel:string=1 data:bytes=2 type:int32=3 key:string=4 removed:bool=5",
  ChannelRequest: "channel:string=1",
  PresenceResult: "presence:map<ClientInfo>=1",
  PresenceStatsResult: "num_clients:uint32=1 num_users:uint32=2",
  StreamPosition: "offset:uint64=1 epoch:string=2",
  HistoryRequest: "channel:string=1 limit:int32=7 since:StreamPosition=8 reverse:bool=9",
  HistoryResult: "publications:Publication[]=1 epoch:string=2 offset:uint64=3",
  RPCRequest: "data:bytes=1 method:string=2",
  Data: "data:bytes=1",
  Empty: "",
  FilterNode: "op:string=1 key:string=2 cmp:string=3 val:string=4 vals:string[]=5 nodes:FilterNode[]=6",
});
