package proto

// ConnectRequest is the first frame of a connection, without a header. HasReadOnly says whether the trailing readOnly
// byte was there: clients up to 3.3 and some small ones leave it out.
type ConnectRequest struct {
	ProtocolVersion int32
	LastZxidSeen    Zxid
	Timeout         int32
	SessionID       SessionID
	Passwd          []byte
	ReadOnly        bool
	HasReadOnly     bool
}

// Decode reads r from d, with or without the trailing readOnly.
func (r *ConnectRequest) Decode(d *Decoder) {
	r.ProtocolVersion = d.Int32()
	r.LastZxidSeen = Zxid(d.Int64())
	r.Timeout = d.Int32()
	r.SessionID = SessionID(d.Int64())
	r.Passwd = d.Buf()
	r.HasReadOnly = d.Remaining() > 0
	r.ReadOnly = r.HasReadOnly && d.Bool()
}

// Append appends r's encoding to b.
func (r *ConnectRequest) Append(b []byte) []byte {
	b = AppendInt32(b, r.ProtocolVersion)
	b = AppendInt64(b, int64(r.LastZxidSeen))
	b = AppendInt32(b, r.Timeout)
	b = AppendInt64(b, int64(r.SessionID))
	b = AppendBuf(b, r.Passwd)
	if r.HasReadOnly {
		b = AppendBool(b, r.ReadOnly)
	}
	return b
}

// ConnectResponse answers a ConnectRequest. A refused session has Timeout 0, SessionID 0 and a password of 16 zeros.
// The readOnly byte is written only if HasReadOnly, which must repeat the request's.
type ConnectResponse struct {
	ProtocolVersion int32
	Timeout         int32
	SessionID       SessionID
	Passwd          []byte
	ReadOnly        bool
	HasReadOnly     bool
}

// Decode reads r from d, with or without the trailing readOnly.
func (r *ConnectResponse) Decode(d *Decoder) {
	r.ProtocolVersion = d.Int32()
	r.Timeout = d.Int32()
	r.SessionID = SessionID(d.Int64())
	r.Passwd = d.Buf()
	r.HasReadOnly = d.Remaining() > 0
	r.ReadOnly = r.HasReadOnly && d.Bool()
}

// Append appends r's encoding to b.
func (r *ConnectResponse) Append(b []byte) []byte {
	b = AppendInt32(b, r.ProtocolVersion)
	b = AppendInt32(b, r.Timeout)
	b = AppendInt64(b, int64(r.SessionID))
	b = AppendBuf(b, r.Passwd)
	if r.HasReadOnly {
		b = AppendBool(b, r.ReadOnly)
	}
	return b
}
